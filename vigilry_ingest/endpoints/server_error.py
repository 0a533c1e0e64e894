"""``POST /ingest/server-error``."""

from flask import Blueprint, Response

from vigilry_ingest.body import read_object
from vigilry_ingest.endpoints.receipt import new_receipt, queued
from vigilry_ingest.schemas.server_error import to_event
from vigilry_ingest.services import services

blueprint = Blueprint("server_error", __name__)


@blueprint.post("/server-error")
def accept_server_error() -> Response:
    """Accept an unhandled server-side error."""
    event = to_event(read_object(), new_receipt())
    return queued(services().publisher.publish(event))
