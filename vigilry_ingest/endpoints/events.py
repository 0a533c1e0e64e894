"""``POST /ingest/events``."""

from flask import Blueprint, Response

from vigilry_ingest.body import read_object
from vigilry_ingest.endpoints.receipt import new_receipt, queued
from vigilry_ingest.schemas.events import to_event
from vigilry_ingest.services import services

blueprint = Blueprint("events", __name__)


@blueprint.post("/events")
def accept_event() -> Response:
    """Accept a custom event."""
    event = to_event(read_object(), new_receipt())
    return queued(services().publisher.publish(event))
