"""``POST /ingest/batch``."""

from flask import Blueprint, Response

from vigilry_ingest.batch import store_batch
from vigilry_ingest.body import read_items
from vigilry_ingest.receipt import new_receipt

blueprint = Blueprint("batch", __name__)


@blueprint.post("/batch")
def accept_batch() -> Response:
    """Accept many events of any kind at once."""
    items = read_items()
    return store_batch(items, new_receipt())
