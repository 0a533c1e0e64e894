"""Ingest one event: make its metadata, build it, publish it, and respond with 202."""

import hashlib
import re
from collections.abc import Sequence
from datetime import UTC, datetime

from flask import Response

from vigilry_ingest.domain.event import Event, EventMetadata
from vigilry_ingest.domain.event_kinds import EventKind
from vigilry_ingest.domain.json_object import JsonObject
from vigilry_ingest.domain.times import rfc3339
from vigilry_ingest.observability.tracing import checked_traceparent, traceparent_of
from vigilry_ingest.stream.errors import RateLimited
from vigilry_ingest.stream.publishing.append_script import IdempotencyKey
from vigilry_ingest.web.flask_app import RawResponse
from vigilry_ingest.web.rate_limit_headers import quota_headers
from vigilry_ingest.web.request import EventCount, IngestRequest
from vigilry_ingest.web.scrubbing import scrubbed, scrubbing_headers

_KEY = re.compile("[!-~](?:[ -~]{0,253}[!-~])?")


class IdempotencyKeyError(ValueError):
    """An idempotency key is invalid or not allowed."""


def ingest(request: IngestRequest, kind: EventKind, body: JsonObject) -> Response:
    """Publish the event that a body describes and respond with 202 once it is stored.

    Raises InvalidEvent, IdempotencyKeyError and BrokerError.
    """
    event = scrubbed(request, kind.build(body, new_metadata(request, sent_key(request))))
    return publish(request, event, idempotency_keys(kind, event, body))


def publish(request: IngestRequest, event: Event, keys: Sequence[IdempotencyKey]) -> Response:
    """Publish an event, at most once under each key, and respond with 202 once it is stored.

    Raises BrokerError.
    """
    quota = request.caller.quota
    try:
        published = request.services.publisher.publish(event, keys, quota)
    except RateLimited as error:
        request.services.admission.note_limited(request.caller, error)
        raise
    request.event_counts = (EventCount(event.kind, "duplicate" if published.is_replay else "accepted"),)
    headers = [("Content-Type", "application/json"), ("Location", f"/ingest/jobs/{published.job_id}")]
    if published.is_replay:
        headers.append(("Idempotent-Replayed", "true"))
    headers += quota_headers(quota, published) + scrubbing_headers(request)
    return RawResponse(f'{{"jobId":"{published.job_id}","status":"queued"}}'.encode(), 202, headers)


def new_metadata(request: IngestRequest, idempotency_key: str | None = None) -> EventMetadata:
    """Return the metadata for the event of a request."""
    caller = request.caller
    return EventMetadata(
        id=f"evt_{request.ulid}",
        project_id=caller.project_id,
        environment=caller.environment,
        received_at=rfc3339(datetime.now(UTC)),
        request_id=request.request_id,
        idempotency_key=idempotency_key,
        traceparent=_traceparent_for(request),
    )


def _traceparent_for(request: IngestRequest) -> str | None:
    """Return the trace context for processing the event: that of the request's span, else the sender's."""
    if request.span is not None:
        return traceparent_of(request.span)
    return checked_traceparent(request.environ.get("HTTP_TRACEPARENT"))


def sent_key(request: IngestRequest) -> str | None:
    """Return the Idempotency-Key of a request, or None.

    Raises IdempotencyKeyError.
    """
    return checked_key(request.environ.get("HTTP_IDEMPOTENCY_KEY"))


def checked_key(key: str | None) -> str | None:
    """Return an idempotency key if it is valid or None.

    Raises IdempotencyKeyError.
    """
    if key is not None and not _KEY.fullmatch(key):
        raise IdempotencyKeyError(
            "An idempotency key has 1 to 255 printable ASCII characters and no space at either end."
        )
    return key


def idempotency_keys(kind: EventKind, event: Event, body: JsonObject) -> list[IdempotencyKey]:
    """Return the keys under which an event is stored once: the sender's and the event's own id, if any."""
    keys = []
    if event.idempotency_key is not None:
        fingerprint = hashlib.blake2b(body.text, digest_size=16).hexdigest()
        keys.append(IdempotencyKey(event.kind, event.idempotency_key, fingerprint))
    if kind.id_member is not None and (own_id := body.members.get(kind.id_member)) is not None:
        # No fingerprint: Stripe's retries of an event differ in members such as pending_webhooks.
        keys.append(IdempotencyKey(f"{event.kind}-id", own_id, ""))
    return keys
