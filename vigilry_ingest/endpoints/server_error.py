"""``POST /ingest/server-error``."""

from flask import Blueprint, Response

from vigilry_ingest.body import read_object
from vigilry_ingest.receipt import accept, new_receipt
from vigilry_ingest.schemas.server_error import to_event

blueprint = Blueprint("server_error", __name__)


@blueprint.post("/server-error")
def accept_server_error() -> Response:
    """Accept an unhandled server-side error."""
    body = read_object()
    event = to_event(body, new_receipt())
    return accept(event, body)
