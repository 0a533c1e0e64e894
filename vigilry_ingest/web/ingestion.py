"""What every ingest view does at its two ends: write the metadata of an event, and answer 202."""

import hashlib
import re
from datetime import UTC, datetime

from flask import Response

from vigilry_ingest.domain.event import Event, EventMetadata
from vigilry_ingest.domain.event_kinds import event_kinds
from vigilry_ingest.domain.json_object import JsonObject
from vigilry_ingest.observability.tracing import checked_traceparent, traceparent_of
from vigilry_ingest.stream.publishing.append_script import IdempotencyKey
from vigilry_ingest.web.flask_app import RawResponse
from vigilry_ingest.web.instrumentation import count_events
from vigilry_ingest.web.rate_limit_headers import quota_headers
from vigilry_ingest.web.request import IngestRequest, this_request

_KEY = re.compile("[!-~](?:[ -~]{0,253}[!-~])?")


class IdempotencyKeyError(ValueError):
    """An Idempotency-Key cannot be used."""


def new_metadata() -> EventMetadata:
    """Write down who sent this request, and when it came.

    Raises IdempotencyKeyError for an unusable Idempotency-Key.
    """
    request = this_request()
    sender = request.caller
    return EventMetadata(
        id=f"evt_{request.ulid}",
        project_id=sender.project_id,
        environment=sender.environment,
        received_at=datetime.now(UTC).isoformat(timespec="milliseconds")[:-6] + "Z",
        request_id=request.request_id,
        idempotency_key=checked_key(request.environ.get("HTTP_IDEMPOTENCY_KEY")),
        traceparent=_traceparent_of(request),
    )


def _traceparent_of(request: IngestRequest) -> str | None:
    """Give the context that the event's processing belongs to: this request's span, or the sender's own."""
    if request.span is not None:
        return traceparent_of(request.span)
    return checked_traceparent(request.environ.get("HTTP_TRACEPARENT"))


def checked_key(key: str | None) -> str | None:
    """Check an idempotency key, where there is one.

    Raises IdempotencyKeyError.
    """
    if key is not None and not _KEY.fullmatch(key):
        raise IdempotencyKeyError(
            "An Idempotency-Key has 1 to 255 printable ASCII characters, no blank at an end."
        )
    return key


def idempotency_keys(event: Event, body: JsonObject) -> list[IdempotencyKey]:
    """Give what makes a repeat of an event answer with the first jobId: the sender's key, and Stripe's id."""
    keys = []
    if event.idempotency_key is not None:
        fingerprint = hashlib.blake2b(body.text, digest_size=16).hexdigest()
        keys.append(IdempotencyKey(event.kind, event.idempotency_key, fingerprint))
    id_member = event_kinds()[event.kind].id_member
    if id_member is not None and (own_id := body.members.get(id_member)) is not None:
        # Stripe's own retries differ in places such as pending_webhooks, so the id alone decides.
        keys.append(IdempotencyKey(f"{event.kind}-id", own_id, ""))
    return keys


def accept(event: Event, body: JsonObject) -> Response:
    """Publish an event and answer 202: it is stored, and this is its jobId.

    Raises BrokerError.
    """
    request = this_request()
    published = request.services.publisher.publish(event, idempotency_keys(event, body), request.caller.quota)
    count_events(event.kind, "duplicate" if published.is_replay else "accepted")
    headers = [("Content-Type", "application/json"), ("Location", f"/ingest/jobs/{published.job_id}")]
    if published.is_replay:
        headers.append(("Idempotent-Replayed", "true"))
    headers += quota_headers(request.caller.quota, published)
    return RawResponse(f'{{"jobId":"{published.job_id}","status":"queued"}}'.encode(), 202, headers)
