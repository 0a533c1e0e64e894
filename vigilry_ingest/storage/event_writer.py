"""The default handler of the worker: events into SQL, once each whatever is delivered again."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import Engine

from vigilry_ingest.domain.handler import Delivered, TryLater
from vigilry_ingest.storage.bulk_insert import copy_new_rows, insert_new_rows
from vigilry_ingest.storage.deadlines import run_with_deadline
from vigilry_ingest.storage.engine import DatabaseError, session_on
from vigilry_ingest.storage.models import EventCorrelation, StoredEvent
from vigilry_ingest.stream.redis_keys import job_number_of

# The lengths of the columns; a correlation key beyond them is kept in the event, and not found by.
_LONGEST_NAME = _LONGEST_VALUE = 200
# A btree of PostgreSQL takes no more than about 2,700 bytes a row; the event's type stands in one.
_LONGEST_TYPE = 500

# A batch that the database has not taken by then is written again; what it took after all is there once.
_ANSWER_S = 10.0

_read_correlation = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class Store:
    """Writes batches of events; safe to call with what was written before."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._insert = copy_new_rows if engine.dialect.name == "postgresql" else insert_new_rows

    def write(self, events: Sequence[Delivered]) -> None:
        """Write a batch in one transaction.

        Raises TryLater when the database cannot be used, because no event is at fault then.
        """
        now = datetime.now(UTC)
        rows = [_row(event, now) for event in events]
        correlations = [row for event in events if event.correlation for row in _correlations(event)]
        try:
            run_with_deadline(lambda: self._write(rows, correlations), _ANSWER_S)
        except DatabaseError as error:
            raise TryLater(str(error)) from error

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
        "type": _storable(event.type)[:_LONGEST_TYPE],
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
    }


def _correlations(event: Delivered) -> Iterator[dict[str, str]]:
    """Take out the keys whose values are no objects or arrays; a string is kept without its quotes."""
    seen = set()
    for name, raw in _read_correlation(event.correlation or b"{}").items():
        text = bytes(raw)
        value = msgspec.json.decode(text, type=str) if text.startswith(b'"') else text.decode()
        name, value = _storable(name), _storable(value)
        if text[:1] in b"{[" or len(name) > _LONGEST_NAME or len(value) > _LONGEST_VALUE or name in seen:
            continue
        seen.add(name)
        yield {"event_id": event.id, "name": name, "project_id": event.project_id, "value": value}


def _storable(text: str) -> str:
    """Replace U+0000, which PostgreSQL's text cannot hold, by U+FFFD; the stream's entry still has it."""
    return text.replace("\x00", "\ufffd")
