"""Events, their metadata, and the format of their stream entries."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec.structs

ENTRY_VERSION = "1"


class Quota(NamedTuple):
    """A project's rate limits, each of them 0 where there is none.

    ``per_second`` and ``burst``: the sustained events per second, and the largest number at once.
    ``bytes_per_second``: the sustained bytes of entries.
    """

    per_second: int = 0
    burst: int = 0
    bytes_per_second: int = 0


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """An event as published to the stream.

    ``correlation`` and ``payload`` are JSON objects as UTF-8 text, with the values as sent; ``received_at``
    is RFC 3339 in UTC, with milliseconds. Fields that are None are absent from the entry.
    """

    id: str
    project_id: str
    environment: str
    kind: str
    type: str
    severity: str
    source: str | None = None
    message: str
    correlation: bytes | None = None
    payload: bytes | None = None
    received_at: str
    idempotency_key: str | None = None
    traceparent: str | None = None
    request_id: str

    def to_entry(self) -> list[str | bytes]:
        """Return the stream entry: alternating field names and values, without absent fields."""
        entry: list[str | bytes] = ["v", ENTRY_VERSION]
        for name, value in zip(self.__struct_fields__, msgspec.structs.astuple(self), strict=True):
            if value is not None:
                entry += (name, value)
        return entry

    @classmethod
    def from_entry(cls, entry: Mapping[bytes, bytes]) -> "Event":
        """Parse a stream entry.

        Raises InvalidEntry if it has another version, lacks a field, or is not valid UTF-8.
        """
        return cls(**entry_values(entry))


class InvalidEntry(ValueError):
    """A stream entry cannot be parsed as an event; the message says why."""


class EventMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """What the service adds to an event: its sender, its time of receipt, and its ids."""

    id: str
    project_id: str
    environment: str
    received_at: str
    request_id: str
    idempotency_key: str | None = None
    traceparent: str | None = None

    def event(
        self,
        *,
        kind: str,
        type: str,
        severity: str,
        message: str,
        source: str | None = None,
        correlation: bytes | None = None,
        payload: bytes | None = None,
    ) -> Event:
        """Return an event with this metadata and the sender's data."""
        return Event(
            id=self.id,
            project_id=self.project_id,
            environment=self.environment,
            kind=kind,
            type=type,
            severity=severity,
            source=source,
            message=message,
            correlation=correlation,
            payload=payload,
            received_at=self.received_at,
            idempotency_key=self.idempotency_key,
            traceparent=self.traceparent,
            request_id=self.request_id,
        )


_JSON_FIELDS = frozenset({"correlation", "payload"})
_NAMES = tuple((name, name.encode()) for name in Event.__struct_fields__)
_REQUIRED = tuple(field.name for field in msgspec.structs.fields(Event) if field.required)


def entry_values(entry: Mapping[bytes, bytes]) -> dict[str, Any]:
    """Parse the fields of a stream entry by name.

    Raises InvalidEntry.
    """
    version = entry.get(b"v", b"").decode("utf-8", "replace")
    if version != ENTRY_VERSION:
        raise InvalidEntry(f"entry version {version!r} is not {ENTRY_VERSION!r}")
    missing = [name for name in _REQUIRED if name.encode() not in entry]
    if missing:
        raise InvalidEntry(f"entry lacks {', '.join(missing)}")
    try:
        return {
            name: value if name in _JSON_FIELDS else value.decode()
            for name, encoded in _NAMES
            if (value := entry.get(encoded)) is not None
        }
    except UnicodeDecodeError as error:
        raise InvalidEntry("entry is not UTF-8") from error
