"""``POST /ingest/batch``."""

from flask import Blueprint, Response

from vigilry_ingest.web.batch_ingestion import store_batch
from vigilry_ingest.web.ingestion import new_metadata
from vigilry_ingest.web.request_body import read_items

blueprint = Blueprint("batch", __name__)


@blueprint.post("/ingest/batch")
def accept_batch() -> Response:
    """Accept many events of any kind at once."""
    items = read_items()
    return store_batch(items, new_metadata())
