"""``/hooks/<source_id>``: webhooks that providers send themselves, verified by their own signatures."""

import time

from flask import Blueprint, Response

from vigilry_ingest.api.schemas.json_object import parse_object
from vigilry_ingest.observability.metrics import webhooks_refused_by
from vigilry_ingest.stream.publishing.append_script import IdempotencyKey
from vigilry_ingest.web.flask_app import RawResponse
from vigilry_ingest.web.ingestion import idempotency_keys, new_metadata, publish
from vigilry_ingest.web.request import IngestRequest, this_request
from vigilry_ingest.web.request_body import read_body, read_content
from vigilry_ingest.web.scrubbing import scrubbed
from vigilry_ingest.webhooks.delivery import Delivery, Unverified
from vigilry_ingest.webhooks.lookup import KnownSource
from vigilry_ingest.webhooks.mapping import json_text, to_event

blueprint = Blueprint("hooks", __name__)

_ABOUT = """This is the URL of a webhook.
Enter it in the provider's settings: the provider then sends its events here in POST requests.
"""
_JSON = [("Content-Type", "application/json")]


@blueprint.post("/hooks/<source_id>")
def receive_webhook(source_id: str) -> Response:
    """Publish a verified delivery and respond with 202 once it is stored."""
    request = this_request()
    source = request.services.sources.find(source_id)
    if source is None:
        webhooks_refused_by("unknown", "unknown_source").inc()
        raise Unverified("unknown_source")
    request.caller = source.caller
    request.services.admission.check(source.caller)
    try:
        return _receive(request, source)
    except Unverified as error:
        webhooks_refused_by(source.provider.name, error.reason).inc()
        raise


@blueprint.get("/hooks/<source_id>")
def describe_webhook(source_id: str) -> Response:  # noqa: ARG001  the URL's, and not revealed to exist
    """Return what the URL is for, to who opens it in a browser."""
    return Response(_ABOUT, mimetype="text/plain")


def _receive(request: IngestRequest, source: KnownSource) -> Response:
    body = read_body(request)
    delivery = Delivery(request.environ, body, _url_of(request))
    now = time.time()
    provider = source.provider
    provider.scheme.verify(delivery, source.live_secrets(now), now)
    content_type = request.environ.get("CONTENT_TYPE", "")
    text = json_text(provider, read_content(request, body), content_type)
    if provider.handshake is not None and (answer := provider.handshake(text)) is not None:
        return RawResponse(answer, 200, list(_JSON))
    parsed = parse_object(text)
    event, delivery_id, kind = to_event(source, delivery, parsed, new_metadata(request))
    event = scrubbed(request, event)
    keys = [] if kind is None else idempotency_keys(kind, event, parsed)
    if delivery_id is not None:
        # No fingerprint: a repeated delivery may differ, as in the number of the attempt.
        keys.append(IdempotencyKey(f"hook-{source.id}", delivery_id, ""))
    return publish(request, event, keys)


def _url_of(request: IngestRequest) -> str:
    origin = request.services.config.public_url or f"{request.scheme}://{request.host}"
    return f"{origin}{request.path}"
