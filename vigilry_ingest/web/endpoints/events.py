"""The endpoints of single events: one blueprint for each registered kind."""

from flask import Blueprint, Response

from vigilry_ingest.domain.event_kinds import EventKind
from vigilry_ingest.web.ingestion import accept, new_metadata
from vigilry_ingest.web.request_body import read_object


def event_blueprint(kind: EventKind) -> Blueprint:
    """Make the endpoint of a kind, at the kind's own path."""
    blueprint = Blueprint(kind.name, __name__)

    @blueprint.post(kind.path)
    def accept_event() -> Response:
        body = read_object()
        event = kind.build(body, new_metadata())
        return accept(event, body)

    return blueprint
