"""Default handler of the worker: stores events in SQL, once each even when redelivered."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import Engine

from vigilry_ingest.domain.fingerprint import event_group
from vigilry_ingest.domain.handler import Delivered, TryLater
from vigilry_ingest.domain.json_object import replace_lone_surrogates
from vigilry_ingest.domain.json_splitting import TooMany, split_members
from vigilry_ingest.storage.bulk_insert import copy_new_rows, insert_new_rows
from vigilry_ingest.storage.deadlines import run_with_deadline
from vigilry_ingest.storage.engine import DatabaseError, DatabaseTimeout, session_on
from vigilry_ingest.storage.models import EventCorrelation, StoredEvent
from vigilry_ingest.stream.redis_keys import job_number_of

# The lengths of the columns. A longer correlation key or value is kept in the event, but is not searchable.
_MAX_NAME_LENGTH = _MAX_VALUE_LENGTH = 200
# The type is indexed, and PostgreSQL limits an entry of a btree to about 2,700 bytes.
_MAX_TYPE_LENGTH = 500

# A batch that is not written within this time is retried; rows that were written after all are skipped then.
_TIMEOUT_S = 10.0
_PROBE_TIMEOUT_S = 2.0

# Events have fewer correlations, except those from versions without that limit.
_MAX_CORRELATIONS = 64


class _Undone(Exception):
    """Rolls a transaction back."""


class Store:
    """Writes batches of events; idempotent."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._insert = copy_new_rows if engine.dialect.name == "postgresql" else insert_new_rows

    def write(self, events: Sequence[Delivered]) -> None:
        """Write a batch in one transaction.

        Raises TryLater when the database cannot be used, or cannot write so much in time, and DatabaseTimeout
        when it has no time for this event only.
        """
        now = datetime.now(UTC)
        rows = [_row(event, now) for event in events]
        correlations = [row for event in events if event.correlation for row in _correlations(event)]
        try:
            self._write_in_time(rows, correlations)
        except DatabaseTimeout as error:
            if len(events) > 1 or not self._has_time_for_a_small_event(rows[0]):
                raise TryLater(str(error)) from error
            # The database may have become available between the two.
            self._write_in_time(rows, correlations)
        except DatabaseError as error:
            raise TryLater(str(error)) from error

    def _write_in_time(self, rows: list[dict[str, Any]], correlations: list[dict[str, str]]) -> None:
        run_with_deadline(lambda: self._write(rows, correlations), _TIMEOUT_S)

    def _has_time_for_a_small_event(self, row: dict[str, Any]) -> bool:
        """Return whether the same event with little data can be written, which is then undone."""
        small = row | {"message": "", "correlation": None, "payload": None, "source": None, "type": ""}

        def try_it() -> None:
            with suppress(_Undone), session_on(self._engine) as session:
                self._insert(session.connection(), StoredEvent, [small])
                raise _Undone

        try:
            run_with_deadline(try_it, _PROBE_TIMEOUT_S)
        except DatabaseError:
            return False
        return True

    def _write(self, rows: list[dict[str, Any]], correlations: list[dict[str, str]]) -> None:
        with session_on(self._engine) as session:
            self._insert(session.connection(), StoredEvent, rows)
            self._insert(session.connection(), EventCorrelation, correlations)


def _row(event: Delivered, now: datetime) -> dict[str, Any]:
    return {
        "id": event.id,
        "job_number": job_number_of(event.job_id),
        "project_id": event.project_id,
        "environment": event.environment,
        "kind": event.kind,
        "type": _storable(event.type)[:_MAX_TYPE_LENGTH],
        "severity": event.severity,
        "source": None if event.source is None else _storable(event.source),
        "message": _storable(event.message),
        "correlation": None if event.correlation is None else event.correlation.decode(),
        "payload": None if event.payload is None else event.payload.decode(),
        "received_at": datetime.fromisoformat(event.received_at),
        "processed_at": now,
        "idempotency_key": None if event.idempotency_key is None else _storable(event.idempotency_key),
        "traceparent": event.traceparent,
        "request_id": event.request_id,
        "event_group": event_group(event),
    }


def _correlations(event: Delivered) -> Iterator[dict[str, str]]:
    """Yield a row for each correlation key with a scalar value; strings are stored without quotes."""
    seen = set()
    for name, raw in _members(event.correlation or b"{}").items():
        text = bytes(raw)
        value = msgspec.json.decode(text, type=str) if text.startswith(b'"') else text.decode()
        name, value = _storable(name), _storable(value)
        is_too_long = len(name) > _MAX_NAME_LENGTH or len(value) > _MAX_VALUE_LENGTH
        if text[:1] in b"{[" or is_too_long or name in seen:
            continue
        seen.add(name)
        yield {"event_id": event.id, "name": name, "project_id": event.project_id, "value": value}


def _members(correlation: bytes) -> Mapping[str, msgspec.Raw]:
    """Return the last of the members with each name, or none of too many."""
    try:
        members = split_members(replace_lone_surrogates(correlation), _MAX_CORRELATIONS)
    except TooMany:
        return {}
    return {str(name): raw for name, raw in members.items()}


def _storable(text: str) -> str:
    """Replace U+0000, which PostgreSQL cannot store, with U+FFFD; the stream entry is unchanged."""
    return text.replace("\x00", "\ufffd")
