"""Batches: ``POST /ingest/batch``. Each item is an event of any kind, with envelope fields of its own."""

import re
from itertools import islice
from typing import NamedTuple

import msgspec

from vigilry_ingest.api.schemas.faults import Fault, InvalidEvent, pointer_to
from vigilry_ingest.api.schemas.json_object import MemberBudget, parse_container, parse_enveloped
from vigilry_ingest.domain.event import Event, EventMetadata
from vigilry_ingest.domain.event_kinds import DEFAULT_KIND, event_kinds, posted_kinds
from vigilry_ingest.domain.json_object import JsonObject
from vigilry_ingest.domain.json_splitting import TooMany, split_elements

MAX_MEMBERS_OF_ITEMS = 20_000
"""Upper bound on the top-level members of all items of a batch, which bounds the cost of splitting them."""

_ENVELOPE = ("kind", "idempotencyKey")
# A line from its first visible character, so that blank lines make no item.
_LINE = re.compile(rb"\S[^\n]*")


class Item(NamedTuple):
    """One item of a batch: envelope fields, and the body as it would be sent to the kind's own endpoint."""

    kind: str
    idempotency_key: str | None
    body: JsonObject

    def to_event(self, metadata: EventMetadata) -> Event:
        """Build the event.

        Raises InvalidEvent with all validation errors.
        """
        return event_kinds()[self.kind].build(self.body, metadata)


class BatchTooLarge(ValueError):
    """A batch has more items than allowed."""


def split_batch(text: bytes, limit: int) -> list[bytes]:
    """Split ``{"events": […]}`` into its items.

    Raises BatchTooLarge, MalformedJson, and InvalidEvent if there is no array of events. Invalid text inside
    an item is left to ``read_item``, so that it is that item's error only.
    """
    members = dict(parse_container(text))
    events = members.pop("events", None)
    if not isinstance(events, msgspec.Raw) or not bytes(events).startswith(b"["):
        raise InvalidEvent([Fault("/events", "required", 'An array is required: {"events": [{…}, {…}]}.')])
    if members:
        raise InvalidEvent(
            [
                Fault(pointer_to(name), "unknown_field", "This field is unknown. The only field is events.")
                for name in members
            ]
        )
    try:
        return [bytes(raw) for raw in split_elements(bytes(events), limit)]
    except TooMany:
        raise BatchTooLarge from None


def split_lines(text: bytes, limit: int) -> list[bytes]:
    """Split newline-delimited JSON (https://github.com/ndjson/ndjson-spec) into its items.

    Raises BatchTooLarge.
    """
    lines = [match[0] for match in islice(_LINE.finditer(text), limit + 1)]
    if len(lines) > limit:
        raise BatchTooLarge
    return lines


def read_item(text: bytes, budget: MemberBudget) -> Item:
    """Parse an item and its envelope fields; the members of all items of a batch come out of one budget.

    Raises MalformedJson, and InvalidEvent if the item is not an object, has too many members, or an envelope
    field is invalid.
    """
    envelope, body = parse_enveloped(text, _ENVELOPE, budget)
    kind, key = envelope.get("kind"), envelope.get("idempotencyKey")
    kind = DEFAULT_KIND if kind is None else kind
    faults = []
    if not isinstance(kind, str) or kind not in posted_kinds():
        faults.append(Fault("/kind", "not_allowed", f"Must be one of {', '.join(posted_kinds())}."))
    if key is not None and not isinstance(key, str):
        faults.append(Fault("/idempotencyKey", "wrong_type", "Must be a string."))
    if faults:
        raise InvalidEvent(faults)
    return Item(kind, key, body)
