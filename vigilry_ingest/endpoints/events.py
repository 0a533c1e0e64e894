"""``POST /ingest/events``."""

from flask import Blueprint, Response

from vigilry_ingest.body import read_object
from vigilry_ingest.receipt import accept, new_receipt
from vigilry_ingest.schemas.events import to_event

blueprint = Blueprint("events", __name__)


@blueprint.post("/events")
def accept_event() -> Response:
    """Accept a custom event."""
    body = read_object()
    event = to_event(body, new_receipt())
    return accept(event, body)
