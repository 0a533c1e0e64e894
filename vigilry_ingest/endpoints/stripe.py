"""``POST /ingest/stripe``."""

from flask import Blueprint, Response

from vigilry_ingest.body import read_object
from vigilry_ingest.receipt import accept, new_receipt
from vigilry_ingest.schemas.stripe import to_event

blueprint = Blueprint("stripe", __name__)


@blueprint.post("/stripe")
def accept_stripe_event() -> Response:
    """Accept a Stripe event."""
    body = read_object()
    event = to_event(body, new_receipt())
    return accept(event, body)
