"""``POST /ingest/webhook``."""

from flask import Blueprint, Response

from vigilry_ingest.body import read_object
from vigilry_ingest.endpoints.receipt import new_receipt, queued
from vigilry_ingest.schemas.webhook import to_event
from vigilry_ingest.services import services

blueprint = Blueprint("webhook", __name__)


@blueprint.post("/webhook")
def accept_webhook() -> Response:
    """Accept a third party's webhook."""
    event = to_event(read_object(), new_receipt())
    return queued(services().publisher.publish(event))
