"""``POST /ingest/events``."""

from flask import Blueprint, Response

from vigilry_ingest.api.schemas.events import to_event
from vigilry_ingest.web.ingestion import accept, new_receipt
from vigilry_ingest.web.request_body import read_object

blueprint = Blueprint("events", __name__)


@blueprint.post("/events")
def accept_event() -> Response:
    """Accept a custom event."""
    body = read_object()
    event = to_event(body, new_receipt())
    return accept(event, body)
