"""``POST /ingest/server-error``."""

from flask import Blueprint, Response

from vigilry_ingest.api.schemas.server_error import to_event
from vigilry_ingest.web.ingestion import accept, new_receipt
from vigilry_ingest.web.request_body import read_object

blueprint = Blueprint("server_error", __name__)


@blueprint.post("/server-error")
def accept_server_error() -> Response:
    """Accept an unhandled server-side error."""
    body = read_object()
    event = to_event(body, new_receipt())
    return accept(event, body)
