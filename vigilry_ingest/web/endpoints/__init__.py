"""The endpoint room: the ``/ingest`` parent, with the key hook attached once; one blueprint a file."""

from flask import Blueprint

from vigilry_ingest.web.auth import require_key
from vigilry_ingest.web.endpoints import batch, events, jobs, server_error, stripe, webhook


def ingest_blueprint() -> Blueprint:
    """Make the parent of everything that needs a key."""
    ingest = Blueprint("ingest", __name__, url_prefix="/ingest")
    ingest.before_request(require_key)
    for endpoint in (events, server_error, webhook, stripe, batch, jobs):
        ingest.register_blueprint(endpoint.blueprint)
    return ingest
