"""``POST /ingest/stripe``."""

from flask import Blueprint, Response

from vigilry_ingest.body import read_object
from vigilry_ingest.endpoints.receipt import new_receipt, queued
from vigilry_ingest.schemas.stripe import to_event
from vigilry_ingest.services import services

blueprint = Blueprint("stripe", __name__)


@blueprint.post("/stripe")
def accept_stripe_event() -> Response:
    """Accept a Stripe event."""
    event = to_event(read_object(), new_receipt())
    return queued(services().publisher.publish(event))
