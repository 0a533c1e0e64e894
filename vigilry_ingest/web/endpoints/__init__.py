"""The views. ``ingest_blueprint`` collects those that require an API key."""

from flask import Blueprint

from vigilry_ingest.domain.event_kinds import posted_kinds
from vigilry_ingest.web.auth import require_key
from vigilry_ingest.web.endpoints import batch, jobs
from vigilry_ingest.web.endpoints.events import event_blueprint


def ingest_blueprint() -> Blueprint:
    """Make the blueprint of all endpoints that require an API key."""
    ingest = Blueprint("ingest", __name__)
    ingest.before_request(require_key)
    for kind in posted_kinds().values():
        ingest.register_blueprint(event_blueprint(kind))
    for endpoint in (batch, jobs):
        ingest.register_blueprint(endpoint.blueprint)
    return ingest
