"""Ingest a batch: check each item separately, and publish all valid ones in one round trip."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

import msgspec
from flask import Response
from msgspec.structs import replace

from vigilry_ingest.api.schemas.batch import MAX_MEMBERS_OF_ITEMS, read_item
from vigilry_ingest.api.schemas.faults import Fault, InvalidEvent
from vigilry_ingest.api.schemas.json_object import MalformedJson, MemberBudget
from vigilry_ingest.domain.event import Event, EventMetadata
from vigilry_ingest.domain.event_kinds import event_kinds
from vigilry_ingest.domain.ids import new_id
from vigilry_ingest.stream.errors import BrokerError, RateLimited
from vigilry_ingest.stream.publishing.append_script import IdempotencyKey
from vigilry_ingest.stream.publishing.publisher import Published
from vigilry_ingest.web.flask_app import RawResponse
from vigilry_ingest.web.ingestion import (
    IdempotencyKeyError,
    checked_key,
    idempotency_keys,
    new_metadata,
    sent_key,
)
from vigilry_ingest.web.rate_limit_headers import quota_headers
from vigilry_ingest.web.request import EventCount, IngestRequest
from vigilry_ingest.web.scrubbing import scrubbed, scrubbing_headers

Result = dict[str, Any]
Outcome = Published | BrokerError

# The upper bound on reported validation errors, so that a small batch cannot cause a large response.
_MAX_FAULTS = 100


class NothingAccepted(Exception):
    """No item of a batch was accepted.

    ``code`` is the error code that all items share, else ``invalid_event``; ``limited`` is set if any item
    was rate-limited.
    """

    def __init__(self, results: list[Result], limited: RateLimited | None) -> None:
        super().__init__("No event of the batch was accepted; see results.")
        self.results = results
        self.limited = limited
        codes = {result["code"] for result in results}
        self.code = codes.pop() if len(codes) == 1 else "invalid_event"


def ingest_batch(request: IngestRequest, items: Sequence[bytes]) -> Response:
    """Publish the valid items of a batch and respond with 202 and the result of each item, in order.

    Raises InvalidEvent for an empty batch, NothingAccepted, IdempotencyKeyError, and BrokerError if the
    broker failed, in which case any of the items may be stored.
    """
    idempotency_key = sent_key(request)
    metadata = new_metadata(request)
    if not items:
        raise InvalidEvent([Fault("/events", "empty", "At least one event is required.")])
    if idempotency_key is not None:
        raise IdempotencyKeyError("In a batch, send an idempotencyKey with each item instead of the header.")
    events: list[tuple[Event, list[IdempotencyKey]]] = []
    rejected: dict[int, Result] = {}
    remaining_faults = _MAX_FAULTS
    budget = MemberBudget(MAX_MEMBERS_OF_ITEMS)
    for index, text in enumerate(items):
        try:
            event, keys = _read(text, metadata, budget)
            events.append((scrubbed(request, event), keys))
        except (MalformedJson, InvalidEvent, IdempotencyKeyError) as error:
            rejected[index] = _rejected(index, error, remaining_faults)
            remaining_faults -= len(rejected[index]["errors"])
    outcomes = publish_events(
        request, events, [EventCount("unknown", "rejected", len(rejected))] if rejected else []
    )
    return _respond(request, _results(len(items), rejected, outcomes), outcomes)


def publish_events(
    request: IngestRequest,
    events: Sequence[tuple[Event, list[IdempotencyKey]]],
    rejected: Sequence[EventCount],
) -> Sequence[Outcome]:
    """Publish events in one round trip and set the request's event counts, with those of rejected items.

    Raises BrokerError if the broker failed for any event: then the sender repeats the batch, and idempotency
    keys keep its events from being stored twice.
    """
    outcomes: Sequence[Outcome] = []
    if events:
        try:
            outcomes = request.services.publisher.publish_all(
                events, request.caller.project_id, request.caller.quota
            )
        except BrokerError as error:
            outcomes = [error] * len(events)
    counts = Counter(
        (event.kind, _outcome_label(outcome)) for (event, _), outcome in zip(events, outcomes, strict=True)
    )
    accepted = [EventCount(kind, label, count) for (kind, label), count in counts.items()]
    request.event_counts = [*rejected, *accepted]
    for outcome in outcomes:
        if isinstance(outcome, BrokerError) and _is_failure(outcome):
            raise outcome
    return outcomes


def _results(count: int, rejected: Mapping[int, Result], outcomes: Sequence[Outcome]) -> list[Result]:
    published = iter(outcomes)
    return [rejected.get(index) or _result(index, next(published)) for index in range(count)]


def _respond(request: IngestRequest, results: list[Result], outcomes: Sequence[Outcome]) -> Response:
    limited = next((each for each in outcomes if isinstance(each, RateLimited)), None)
    if limited is not None:
        request.services.admission.note_limited(request.caller, limited)
    accepted = sum(result["status"] == "queued" for result in results)
    if not accepted:
        raise NothingAccepted(results, limited)
    headers = [("Content-Type", "application/json")]
    if limited is not None:
        headers.append(("Retry-After", str(limited.retry_after_s)))
    # The event published last reports what remains of the quota.
    latest = limited or next(each for each in reversed(outcomes) if isinstance(each, Published))
    headers += quota_headers(request.caller.quota, latest) + scrubbing_headers(request)
    body = {"accepted": accepted, "rejected": len(results) - accepted, "results": results}
    return RawResponse(msgspec.json.encode(body), 202, headers)


def _is_failure(error: BrokerError) -> bool:
    """Return whether the broker failed, rather than the item or its project being at fault."""
    return error.retry_after is not None and not isinstance(error, RateLimited)


def _outcome_label(outcome: Outcome) -> str:
    if isinstance(outcome, Published):
        return "duplicate" if outcome.is_replay else "accepted"
    return "failed" if _is_failure(outcome) else "rejected"


def _read(text: bytes, metadata: EventMetadata, budget: MemberBudget) -> tuple[Event, list[IdempotencyKey]]:
    item = read_item(text, budget)
    own = replace(metadata, id=new_id("evt"), idempotency_key=checked_key(item.idempotency_key))
    event = item.to_event(own)
    return event, idempotency_keys(event_kinds()[item.kind], event, item.body)


def _result(index: int, outcome: Outcome) -> Result:
    if isinstance(outcome, Published):
        result = {"index": index, "status": "queued", "jobId": outcome.job_id}
        return result | {"idempotentReplayed": True} if outcome.is_replay else result
    pointer = "" if isinstance(outcome, RateLimited) else "/idempotencyKey"
    return _rejection(index, outcome.code, [Fault(pointer, outcome.code, outcome.detail)])


def _rejected(index: int, error: Exception, max_faults: int) -> Result:
    if isinstance(error, InvalidEvent):
        return _rejection(index, "invalid_event", list(islice(error.faults, max_faults)))
    if isinstance(error, IdempotencyKeyError):
        fault = Fault("/idempotencyKey", "invalid_idempotency_key", str(error))
        return _rejection(index, "invalid_idempotency_key", [fault])
    return _rejection(index, "malformed_json", [Fault("", "malformed_json", str(error))])


def _rejection(index: int, code: str, faults: list[Fault]) -> Result:
    errors = [fault._asdict() for fault in faults]
    return {"index": index, "status": "rejected", "code": code, "errors": errors}
