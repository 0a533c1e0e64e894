"""The batch room: each item is taken or rejected by itself, and one round trip stores all that are taken."""

from collections import Counter
from collections.abc import Sequence
from itertools import islice
from typing import Any

import msgspec
from flask import Response
from msgspec.structs import replace

from vigilry_ingest.api.schemas.batch import read_item
from vigilry_ingest.api.schemas.faults import Fault, InvalidEvent
from vigilry_ingest.api.schemas.json_object import MalformedJson
from vigilry_ingest.domain.event import Event, EventMetadata
from vigilry_ingest.domain.ids import new_id
from vigilry_ingest.stream.errors import BrokerError, RateLimited
from vigilry_ingest.stream.publishing.append_script import IdempotencyKey
from vigilry_ingest.stream.publishing.publisher import Published
from vigilry_ingest.web.flask_app import RawResponse
from vigilry_ingest.web.ingestion import IdempotencyKeyError, checked_key, idempotency_keys
from vigilry_ingest.web.instrumentation import count_events
from vigilry_ingest.web.rate_limit_headers import quota_headers
from vigilry_ingest.web.request import this_request

Result = dict[str, Any]

# Of all items together: nobody mends more at once, and a small body could draw a large answer.
_MAX_FAULTS = 100


class NothingAccepted(Exception):
    """No item of a batch was taken; ``results`` says of each why.

    ``code`` is the word that all of them share, or ``invalid_event``; ``limited`` is there when some of them
    only have to wait.
    """

    def __init__(self, results: list[Result], limited: RateLimited | None) -> None:
        super().__init__(f"None of the {len(results)} events was taken; results says why.")
        self.results = results
        self.limited = limited
        codes = {result["code"] for result in results}
        self.code = codes.pop() if len(codes) == 1 else "invalid_event"


def store_batch(items: Sequence[bytes], metadata: EventMetadata) -> Response:
    """Store what can be taken of a batch, and answer 202 with what became of each item, in order.

    Raises InvalidEvent, NothingAccepted, IdempotencyKeyError, and BrokerError when the broker failed: then
    any of the items may be stored.
    """
    if not items:
        raise InvalidEvent([Fault("/events", "empty", "At least one event is required.")])
    if metadata.idempotency_key is not None:
        raise IdempotencyKeyError("The items of a batch have keys of their own: idempotencyKey in each.")
    results: list[Result] = []
    taken: list[tuple[Event, list[IdempotencyKey]]] = []
    places: list[int] = []
    untold = _MAX_FAULTS
    for index, text in enumerate(items):
        try:
            taken.append(_read(text, metadata))
            places.append(index)
            results.append({})
        except (MalformedJson, InvalidEvent, IdempotencyKeyError) as error:
            results.append(_rejected(index, error, untold))
            untold -= len(results[-1]["errors"])
    count_events("unknown", "rejected", len(items) - len(taken))
    outcomes = _publish(taken, metadata.project_id)
    for index, outcome in zip(places, outcomes, strict=True):
        results[index] = _result(index, outcome)
    return _answer(results, outcomes)


def _answer(results: list[Result], outcomes: Sequence[Published | BrokerError]) -> Response:
    limited = next((each for each in outcomes if isinstance(each, RateLimited)), None)
    accepted = sum(result["status"] == "queued" for result in results)
    if not accepted:
        raise NothingAccepted(results, limited)
    headers = [("Content-Type", "application/json")]
    if limited is not None:
        headers.append(("Retry-After", str(limited.retry_after_s)))
    # The last that was taken knows what is left.
    told = limited or next(each for each in reversed(outcomes) if isinstance(each, Published))
    headers += quota_headers(this_request().caller.quota, told)
    body = {"accepted": accepted, "rejected": len(results) - accepted, "results": results}
    return RawResponse(msgspec.json.encode(body), 202, headers)


def _publish(
    taken: list[tuple[Event, list[IdempotencyKey]]], project_id: str
) -> Sequence[Published | BrokerError]:
    """Publish, and count what became of each event.

    Raises BrokerError when it is everyone's, or one that failed in the middle. With keys of their own, all
    items can be sent again then.
    """
    if not taken:
        return []
    outcomes: Sequence[Published | BrokerError]
    try:
        request = this_request()
        outcomes = request.services.publisher.publish_all(taken, project_id, request.caller.quota)
    except BrokerError as error:
        outcomes = [error] * len(taken)
    words = [(event.kind, _word_for(outcome)) for (event, _), outcome in zip(taken, outcomes, strict=True)]
    for (kind, word), count in Counter(words).items():
        count_events(kind, word, count)
    for outcome in outcomes:
        if isinstance(outcome, BrokerError) and _is_failure(outcome):
            raise outcome
    return outcomes


def _is_failure(outcome: BrokerError) -> bool:
    # Of ours, and not of the item or its project.
    return outcome.retry_after is not None and not isinstance(outcome, RateLimited)


def _word_for(outcome: Published | BrokerError) -> str:
    if isinstance(outcome, Published):
        return "duplicate" if outcome.is_replay else "accepted"
    return "failed" if _is_failure(outcome) else "rejected"


def _read(text: bytes, metadata: EventMetadata) -> tuple[Event, list[IdempotencyKey]]:
    item = read_item(text)
    own = replace(metadata, id=new_id("evt"), idempotency_key=checked_key(item.idempotency_key))
    event = item.to_event(own)
    return event, idempotency_keys(event, item.body)


def _result(index: int, outcome: Published | BrokerError) -> Result:
    if isinstance(outcome, Published):
        result = {"index": index, "status": "queued", "jobId": outcome.job_id}
        return result | {"idempotentReplayed": True} if outcome.is_replay else result
    where = "" if isinstance(outcome, RateLimited) else "/idempotencyKey"
    return _rejection(index, outcome.code, [Fault(where, outcome.code, outcome.detail)])


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
