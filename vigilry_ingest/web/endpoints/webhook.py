"""``POST /ingest/webhook``."""

from flask import Blueprint, Response

from vigilry_ingest.api.schemas.webhook import to_event
from vigilry_ingest.web.ingestion import accept, new_receipt
from vigilry_ingest.web.request_body import read_object

blueprint = Blueprint("webhook", __name__)


@blueprint.post("/webhook")
def accept_webhook() -> Response:
    """Accept a third party's webhook."""
    body = read_object()
    event = to_event(body, new_receipt())
    return accept(event, body)
