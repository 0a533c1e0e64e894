"""The batch room: each item is taken or rejected by itself, and one round trip stores all that are taken."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, cast

import msgspec
from msgspec.structs import replace

from vigilry_ingest.event import Event, Receipt
from vigilry_ingest.ids import new_id
from vigilry_ingest.receipt import IdempotencyKeyError, checked_key, once_keys
from vigilry_ingest.schemas.batch import read_item
from vigilry_ingest.schemas.fields import Fault, InvalidEvent
from vigilry_ingest.schemas.json_object import MalformedJson
from vigilry_ingest.services import this_request
from vigilry_ingest.stream.errors import PublishError, RateLimited
from vigilry_ingest.stream.publishing.publisher import Published
from vigilry_ingest.stream.publishing.script import Once
from vigilry_ingest.telemetry import count_events

Result = dict[str, Any]


class NothingAccepted(Exception):
    """No item of a batch can be taken; ``results`` says of each why."""

    def __init__(self, results: list[Result]) -> None:
        super().__init__(f"None of the {len(results)} events can be taken; results says why.")
        self.results = results


def store_batch(items: Sequence[bytes], receipt: Receipt) -> bytes:
    """Store what can be taken of a batch, and return the JSON that tells what became of each item, in order.

    Raises InvalidEvent, NothingAccepted, IdempotencyKeyError, and PublishError when the broker failed: then
    any of the items may be stored.
    """
    if not items:
        raise InvalidEvent([Fault("/events", "empty", "At least one event is required.")])
    if receipt.idempotency_key is not None:
        raise IdempotencyKeyError("The items of a batch have keys of their own: idempotencyKey in each.")
    results: list[Result] = []
    taken: list[tuple[Event, list[Once]]] = []
    places: list[int] = []
    for index, text in enumerate(items):
        try:
            taken.append(_read(text, receipt))
            places.append(index)
            results.append({})
        except (MalformedJson, InvalidEvent, IdempotencyKeyError) as error:
            results.append(_rejected(index, error))
    count_events("unknown", "rejected", len(items) - len(taken))
    for index, outcome in zip(places, _publish(taken, receipt.project_id), strict=True):
        results[index] = _result(index, outcome)
    accepted = sum(result["status"] == "queued" for result in results)
    if not accepted:
        raise NothingAccepted(results)
    return msgspec.json.encode(
        {"accepted": accepted, "rejected": len(results) - accepted, "results": results}
    )


def _publish(taken: list[tuple[Event, list[Once]]], project_id: str) -> Sequence[Published | PublishError]:
    """Publish, and count what became of each event.

    Raises PublishError when it is everyone's, or one that failed in the middle. With keys of their own, all
    items can be sent again then.
    """
    if not taken:
        return []
    outcomes: Sequence[Published | PublishError]
    try:
        request = this_request()
        outcomes = request.services.publisher.publish_all(taken, project_id, request.caller.quota)
    except PublishError as error:
        outcomes = [error] * len(taken)
    words = [(event.kind, _word_for(outcome)) for (event, _), outcome in zip(taken, outcomes, strict=True)]
    for (kind, word), count in Counter(words).items():
        count_events(kind, word, count)
    for outcome in outcomes:
        if isinstance(outcome, PublishError) and _is_failure(outcome):
            raise outcome
    if all(isinstance(outcome, RateLimited) for outcome in outcomes):
        raise cast(RateLimited, outcomes[0])
    return outcomes


def _is_failure(outcome: PublishError) -> bool:
    # Of ours, and not of the item or its project.
    return outcome.retry_after is not None and not isinstance(outcome, RateLimited)


def _word_for(outcome: Published | PublishError) -> str:
    if isinstance(outcome, Published):
        return "duplicate" if outcome.is_replay else "accepted"
    return "failed" if _is_failure(outcome) else "rejected"


def _read(text: bytes, receipt: Receipt) -> tuple[Event, list[Once]]:
    item = read_item(text)
    own = replace(receipt, id=new_id("evt"), idempotency_key=checked_key(item.idempotency_key))
    event = item.to_event(own)
    return event, once_keys(event, item.body)


def _result(index: int, outcome: Published | PublishError) -> Result:
    if isinstance(outcome, Published):
        result = {"index": index, "status": "queued", "jobId": outcome.job_id}
        return result | {"idempotentReplayed": True} if outcome.is_replay else result
    where = "" if isinstance(outcome, RateLimited) else "/idempotencyKey"
    return _rejection(index, outcome.code, [Fault(where, outcome.code, outcome.detail)])


def _rejected(index: int, error: Exception) -> Result:
    if isinstance(error, InvalidEvent):
        return _rejection(index, "invalid_event", error.faults)
    if isinstance(error, IdempotencyKeyError):
        fault = Fault("/idempotencyKey", "invalid_idempotency_key", str(error))
        return _rejection(index, "invalid_idempotency_key", [fault])
    return _rejection(index, "malformed_json", [Fault("", "malformed_json", str(error))])


def _rejection(index: int, code: str, faults: list[Fault]) -> Result:
    errors = [fault._asdict() for fault in faults]
    return {"index": index, "status": "rejected", "code": code, "errors": errors}
