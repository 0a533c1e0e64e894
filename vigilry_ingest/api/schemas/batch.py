"""``POST /ingest/batch``: the items of a batch, each an event of some kind in an envelope of its own."""

from typing import NamedTuple

import msgspec

from vigilry_ingest.api.schemas.faults import Fault, InvalidEvent, pointer_to
from vigilry_ingest.api.schemas.json_object import parse_enveloped, parse_object, split_array
from vigilry_ingest.domain.event import Event, EventMetadata
from vigilry_ingest.domain.event_kinds import DEFAULT_KIND, event_kinds
from vigilry_ingest.domain.json_object import JsonObject

_ENVELOPE = ("kind", "idempotencyKey")


class Item(NamedTuple):
    """One event of a batch: its kind, its idempotency key, and the event as at that kind's own endpoint."""

    kind: str
    idempotency_key: str | None
    body: JsonObject

    def to_event(self, metadata: EventMetadata) -> Event:
        """Make the event that this item describes.

        Raises InvalidEvent with every fault of the item.
        """
        return event_kinds()[self.kind].build(self.body, metadata)


def split_batch(text: bytes) -> list[bytes]:
    """Split ``{"events": […]}`` into the texts of its items.

    Raises MalformedJson, and InvalidEvent when there is no list of events in it.
    """
    members = dict(parse_object(text).members)
    listed = members.pop("events", None)
    if not isinstance(listed, msgspec.Raw) or not bytes(listed).startswith(b"["):
        raise InvalidEvent([Fault("/events", "required", 'An array is required: {"events": [{…}, {…}]}.')])
    if members:
        raise InvalidEvent(
            [Fault(pointer_to(name), "unknown_field", "The only field here is events.") for name in members]
        )
    return split_array(bytes(listed))


def split_lines(text: bytes) -> list[bytes]:
    """Split newline-delimited JSON (https://github.com/ndjson/ndjson-spec) into its items."""
    return [line for line in text.split(b"\n") if line.strip()]


def read_item(text: bytes) -> Item:
    """Read the envelope of one item.

    Raises MalformedJson, and InvalidEvent when the envelope is not one.
    """
    envelope, body = parse_enveloped(text, _ENVELOPE)
    kind, key = envelope.get("kind"), envelope.get("idempotencyKey")
    kind = DEFAULT_KIND if kind is None else kind
    faults = []
    if not isinstance(kind, str) or kind not in event_kinds():
        faults.append(Fault("/kind", "not_allowed", f"Must be one of {', '.join(event_kinds())}."))
    if key is not None and not isinstance(key, str):
        faults.append(Fault("/idempotencyKey", "wrong_type", "Must be a string."))
    if faults:
        raise InvalidEvent(faults)
    return Item(kind, key, body)
