"""``POST /ingest/webhook``."""

from flask import Blueprint, Response

from vigilry_ingest.body import read_object
from vigilry_ingest.receipt import accept, new_receipt
from vigilry_ingest.schemas.webhook import to_event

blueprint = Blueprint("webhook", __name__)


@blueprint.post("/webhook")
def accept_webhook() -> Response:
    """Accept a third party's webhook."""
    body = read_object()
    event = to_event(body, new_receipt())
    return accept(event, body)
