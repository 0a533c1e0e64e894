"""The views. ``ingest_blueprint`` is the parent of all that need a key, and has the key hook."""

from flask import Blueprint

from vigilry_ingest.domain.event_kinds import event_kinds
from vigilry_ingest.web.auth import require_key
from vigilry_ingest.web.endpoints import batch, jobs
from vigilry_ingest.web.endpoints.events import event_blueprint


def ingest_blueprint() -> Blueprint:
    """Make the parent of everything that needs a key."""
    ingest = Blueprint("ingest", __name__)
    ingest.before_request(require_key)
    for kind in event_kinds().values():
        ingest.register_blueprint(event_blueprint(kind))
    for endpoint in (batch, jobs):
        ingest.register_blueprint(endpoint.blueprint)
    return ingest
