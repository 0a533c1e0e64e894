"""``POST /ingest/stripe``."""

from flask import Blueprint, Response

from vigilry_ingest.api.schemas.stripe import to_event
from vigilry_ingest.web.ingestion import accept, new_receipt
from vigilry_ingest.web.request_body import read_object

blueprint = Blueprint("stripe", __name__)


@blueprint.post("/stripe")
def accept_stripe_event() -> Response:
    """Accept a Stripe event."""
    body = read_object()
    event = to_event(body, new_receipt())
    return accept(event, body)
