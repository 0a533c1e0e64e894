"""Ingest what Sentry SDKs send: store the events of an envelope in one round trip, and count all items."""

from collections import Counter
from collections.abc import Sequence
from itertools import islice
from typing import Any
from uuid import uuid4

import msgspec
from flask import Response
from msgspec.structs import replace

from vigilry_ingest.api.schemas.faults import MAX_FAULTS, Fault, InvalidEvent
from vigilry_ingest.api.schemas.json_object import MalformedJson, MemberBudget
from vigilry_ingest.api.schemas.sentry import KIND
from vigilry_ingest.api.schemas.sentry_envelope import (
    EnvelopeItem,
    MalformedEnvelope,
    items_of,
    read_header,
)
from vigilry_ingest.api.schemas.sentry_items import EVENT, KNOWN_ITEMS, BuiltItem, build_item, normalized_id
from vigilry_ingest.domain.event import EventMetadata
from vigilry_ingest.domain.ids import new_id
from vigilry_ingest.observability.metrics import sentry_items_by
from vigilry_ingest.stream.errors import BrokerError, RateLimited
from vigilry_ingest.stream.publishing.append_script import IdempotencyKey
from vigilry_ingest.stream.publishing.publisher import Published
from vigilry_ingest.web.batch_ingestion import publish_events
from vigilry_ingest.web.flask_app import RawResponse
from vigilry_ingest.web.ingestion import new_metadata
from vigilry_ingest.web.rate_limit_headers import quota_headers
from vigilry_ingest.web.request import EventCount, IngestRequest
from vigilry_ingest.web.request_body import BodyError
from vigilry_ingest.web.scrubbing import scrubbed, scrubbing_headers

# SDKs send one event in an envelope. This bounds the cost of one with more.
_MAX_STORED_ITEMS = 100
_MAX_MEMBERS = 20_000
_Error = MalformedJson | InvalidEvent | MalformedEnvelope


class _Contents:
    """What an envelope contains: the events to store, and the errors of what cannot be read."""

    def __init__(self, request: IngestRequest, header_id: str | None) -> None:
        self.built: list[BuiltItem] = []
        self.errors: list[tuple[str, _Error]] = []
        self._request = request
        self._metadata = new_metadata(request)
        self._header_id = header_id
        self._budget = MemberBudget(_MAX_MEMBERS)

    def add(self, number: int, item: EnvelopeItem) -> None:
        """Build the event of an item, or note its error."""
        # Only one event can have the id of the envelope.
        header_id = None if self.built else self._header_id
        try:
            built = build_item(item.type, item.payload, self._budget, header_id, self._new_metadata)
            built = built._replace(event=scrubbed(self._request, built.event))
        except (MalformedJson, InvalidEvent) as error:
            self.errors.append((f"/items/{number}", error))
        else:
            self.built.append(built)

    def _new_metadata(self, own_id: str | None) -> EventMetadata:
        return replace(self._metadata, id=new_id("evt"), idempotency_key=own_id)


def ingest_envelope(request: IngestRequest, envelope: bytes) -> Response:
    """Store the events of an envelope and respond with 200 and the id of the first.

    Raises MalformedEnvelope, MalformedJson or InvalidEvent if no event can be stored because of it,
    BodyError for too many items, and BrokerError.
    """
    header, start = read_header(envelope)
    header_id = normalized_id(header.event_id or "")
    contents = _Contents(request, header_id)
    config = request.services.config
    stored_types = {EVENT, *filter(None, config.sentry_items.split(","))}
    counts: Counter[str] = Counter()
    stored = 0
    try:
        for number, item in enumerate(items_of(envelope, start)):
            is_stored = item.type in stored_types
            stored += is_stored
            if number >= config.max_batch_events or stored > _MAX_STORED_ITEMS:
                raise _too_many(config.max_batch_events)
            counts[item.type if item.type in KNOWN_ITEMS else "unknown"] += 1
            if is_stored:
                contents.add(number, item)
    except MalformedEnvelope as error:
        contents.errors.append(("", error))
    for type_, count in counts.items():
        sentry_items_by(type_).inc(count)
    return _store(request, contents, header_id)


def ingest_event(request: IngestRequest, text: bytes) -> Response:
    """Store one event and respond with 200 and its id.

    Raises MalformedJson, InvalidEvent and BrokerError.
    """
    contents = _Contents(request, None)
    contents.add(0, EnvelopeItem(EVENT, text))
    sentry_items_by(EVENT).inc()
    return _store(request, contents, None)


def _store(request: IngestRequest, contents: _Contents, header_id: str | None) -> Response:
    if not contents.built and contents.errors:
        _raise_first(contents.errors)
    keyed = [(each.event, _keys(each)) for each in contents.built]
    rejected = len(contents.errors)
    outcomes = publish_events(
        request, keyed, [EventCount(KIND.name, "rejected", rejected)] if rejected else []
    )
    headers = [("Content-Type", "application/json")]
    if outcomes:
        _check(request, outcomes)
        latest = next(each for each in reversed(outcomes) if isinstance(each, Published))
        headers += quota_headers(request.caller.quota, latest) + scrubbing_headers(request)
        header_id = contents.built[0].own_id or header_id or uuid4().hex
    body: dict[str, Any] = {} if header_id is None else {"id": header_id}
    if contents.errors:
        body["errors"] = [fault._asdict() for fault in _faults(contents.errors)]
    return RawResponse(msgspec.json.encode(body), 200, headers)


def _check(request: IngestRequest, outcomes: Sequence[Published | BrokerError]) -> None:
    """Raise the first error of the outcomes, after noting that the project is rate-limited if it is."""
    for outcome in outcomes:
        if isinstance(outcome, RateLimited):
            request.services.admission.note_limited(request.caller, outcome)
        if isinstance(outcome, BrokerError):
            raise outcome


def _keys(built: BuiltItem) -> list[IdempotencyKey]:
    # No fingerprint: a retry has other breadcrumbs or another time of sending.
    return [] if built.own_id is None else [IdempotencyKey(f"sentry-{built.type}", built.own_id, "")]


def _raise_first(errors: Sequence[tuple[str, _Error]]) -> None:
    if len(errors) == 1:
        raise errors[0][1]
    raise InvalidEvent(_faults(errors))


def _faults(errors: Sequence[tuple[str, _Error]]) -> list[Fault]:
    faults: list[Fault] = []
    for pointer, error in errors[:MAX_FAULTS]:
        if isinstance(error, InvalidEvent):
            remaining = MAX_FAULTS - len(faults)
            faults += [Fault(pointer + each.pointer, *each[1:]) for each in islice(error.faults, remaining)]
        else:
            code = "malformed_json" if isinstance(error, MalformedJson) else "malformed_envelope"
            faults.append(Fault(pointer, code, str(error)))
    return faults


def _too_many(max_items: int) -> BodyError:
    detail = (
        f"An envelope may have {max_items:,} items (VIGILRY_MAX_BATCH_EVENTS), "
        f"of which {_MAX_STORED_ITEMS} are stored; it has more."
    )
    return BodyError("batch_too_large", detail)
