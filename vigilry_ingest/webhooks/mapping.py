"""Events of webhooks: what becomes of a verified delivery."""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from vigilry_ingest.api.schemas import webhook
from vigilry_ingest.api.schemas.faults import Fault, InvalidEvent
from vigilry_ingest.domain.escaping import escape_unprintable
from vigilry_ingest.domain.event import Event, EventMetadata
from vigilry_ingest.domain.event_kinds import EventKind
from vigilry_ingest.domain.json_object import JsonObject
from vigilry_ingest.webhooks.delivery import Delivery
from vigilry_ingest.webhooks.forms import CONTENT_TYPE, InvalidForm, parse_form
from vigilry_ingest.webhooks.lookup import KnownSource
from vigilry_ingest.webhooks.provider import Provider

_MAX_SUBJECT_LENGTH = 500
_MAX_NAME_LENGTH = 255
_MAX_CORRELATION_LENGTH = 1000


class Mapped(NamedTuple):
    """An event, and the id of its delivery; ``kind`` is set for an event that has an id of its own."""

    event: Event
    delivery_id: str | None = None
    kind: EventKind | None = None


def json_text(provider: Provider, content: bytes, content_type: str) -> bytes:
    """Return a body as JSON text: unchanged, or the object of a form's fields, or the field with the event.

    Raises InvalidEvent.
    """
    if not content_type.startswith(CONTENT_TYPE):
        return content
    try:
        pairs = parse_form(content)
    except InvalidForm as error:
        raise InvalidEvent([Fault("", "invalid_form", str(error))]) from None
    fields: dict[str, str | list[str]] = {}
    for name, value in pairs:
        before = fields.get(name)
        if before is None:
            fields[name] = value
        else:
            fields[name] = [*before, value] if isinstance(before, list) else [before, value]
    member = provider.form_member
    if member is not None and isinstance(text := fields.get(member), str):
        return text.encode()
    return msgspec.json.encode(fields)


def to_event(source: KnownSource, delivery: Delivery, body: JsonObject, metadata: EventMetadata) -> Mapped:
    """Build the event of a delivery.

    Raises InvalidEvent, and Unverified if a header that each delivery has is missing or repeated.
    """
    provider = source.provider
    if isinstance(provider.read, EventKind):
        event = _with_severity(provider.read.build(body, metadata), source.severities)
        return Mapped(event, kind=provider.read)
    reading = provider.read(delivery, body.text)
    name = _printable(reading.event, _MAX_NAME_LENGTH)
    full_name = f"{name}.{reading.action}" if reading.action else name
    message = f"{provider.name} {_printable(full_name, _MAX_NAME_LENGTH)}"
    if reading.subject:
        message += f": {_printable(reading.subject, _MAX_SUBJECT_LENGTH)}"
    delivery_id = reading.delivery_id and _printable(reading.delivery_id, _MAX_NAME_LENGTH)
    correlation = {"source_id": source.id, **({"delivery_id": delivery_id} if delivery_id else {})}
    if reading.action:
        correlation["action"] = reading.action[:_MAX_CORRELATION_LENGTH]
    correlation |= {key: value[:_MAX_CORRELATION_LENGTH] for key, value in reading.correlation.items()}
    event = metadata.event(
        kind=webhook.KIND.name,
        type=name,
        severity=source.severities.get(full_name) or source.severities.get(name) or reading.severity,
        source=source.name,
        message=message,
        correlation=msgspec.json.encode(correlation),
        payload=body.text,
    )
    return Mapped(event, delivery_id or None)


def _with_severity(event: Event, severities: Mapping[str, str]) -> Event:
    severity = severities.get(event.type)
    return event if severity is None else msgspec.structs.replace(event, severity=severity)


def _printable(text: str, max_length: int) -> str:
    return escape_unprintable(text[:max_length])
