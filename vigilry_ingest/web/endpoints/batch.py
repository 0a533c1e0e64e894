"""``POST /ingest/batch``."""

from flask import Blueprint, Response

from vigilry_ingest.web.batch_ingestion import ingest_batch
from vigilry_ingest.web.request import this_request
from vigilry_ingest.web.request_body import read_items

blueprint = Blueprint("batch", __name__)


@blueprint.post("/ingest/batch")
def accept_batch() -> Response:
    """Accept several events of any kind."""
    request = this_request()
    request.services.admission.check(request.caller)
    return ingest_batch(request, read_items(request))
