"""The endpoints of single events: one blueprint per registered kind."""

from flask import Blueprint, Response

from vigilry_ingest.domain.event_kinds import EventKind
from vigilry_ingest.web.ingestion import ingest
from vigilry_ingest.web.request import this_request
from vigilry_ingest.web.request_body import read_object


def event_blueprint(kind: EventKind) -> Blueprint:
    """Make a blueprint with the endpoint of a kind."""
    blueprint = Blueprint(kind.name, __name__)

    @blueprint.post(kind.path)
    def accept_event() -> Response:
        request = this_request()
        request.services.admission.check(request.caller)
        return ingest(request, kind, read_object(request))

    return blueprint
