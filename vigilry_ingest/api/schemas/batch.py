"""Batches: ``POST /ingest/batch``. Each item is an event of any kind, with envelope fields of its own."""

from typing import NamedTuple

import msgspec

from vigilry_ingest.api.schemas.faults import Fault, InvalidEvent, pointer_to
from vigilry_ingest.api.schemas.json_object import parse_enveloped, parse_object, split_array
from vigilry_ingest.domain.event import Event, EventMetadata
from vigilry_ingest.domain.event_kinds import DEFAULT_KIND, event_kinds
from vigilry_ingest.domain.json_object import JsonObject

_ENVELOPE = ("kind", "idempotencyKey")


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


def split_batch(text: bytes) -> list[bytes]:
    """Split ``{"events": […]}`` into its items.

    Raises MalformedJson, and InvalidEvent if there is no array of events.
    """
    members = dict(parse_object(text).members)
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
    return split_array(bytes(events))


def split_lines(text: bytes) -> list[bytes]:
    """Split newline-delimited JSON (https://github.com/ndjson/ndjson-spec) into its items."""
    return [line for line in text.split(b"\n") if line.strip()]


def read_item(text: bytes) -> Item:
    """Parse an item and its envelope fields.

    Raises MalformedJson, and InvalidEvent if the item is not an object or an envelope field is invalid.
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
