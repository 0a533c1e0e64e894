"""Default handler of the worker: stores events in SQL, once each even when redelivered."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError

from vigilry_ingest.domain.fingerprint import event_group
from vigilry_ingest.domain.handler import Delivered, TryLater
from vigilry_ingest.storage.bulk_insert import copy_new_rows, insert_new_rows
from vigilry_ingest.storage.correlations import searchable_members, storable
from vigilry_ingest.storage.deadlines import run_with_deadline
from vigilry_ingest.storage.engine import DatabaseError, DatabaseTimeout, session_on
from vigilry_ingest.storage.models import EventCorrelation, StoredEvent
from vigilry_ingest.storage.partitions.bounds import is_beyond_bound
from vigilry_ingest.stream.redis_keys import job_number_of

# The type is indexed, and PostgreSQL limits an entry of a btree to about 2,700 bytes.
_MAX_TYPE_LENGTH = 500

# A batch that is not written within this time is retried; rows that were written after all are skipped then.
_TIMEOUT_S = 10.0
_PROBE_TIMEOUT_S = 2.0


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
        correlations = [
            row
            for event, event_row in zip(events, rows, strict=True)
            for row in _correlations(event, event_row["received_at"])
        ]
        try:
            self._write_in_time(rows, correlations)
        except DatabaseTimeout as error:
            if len(events) > 1 or not self._has_time_for_a_small_event(rows[0]):
                raise TryLater(str(error)) from error
            # The database may have become available between the two.
            self._write_in_time(rows, correlations)
        except DatabaseError as error:
            raise TryLater(str(error)) from error
        except IntegrityError as error:
            if not is_beyond_bound(error):
                raise
            raise TryLater("The table is being partitioned, up to a time before that of an event.") from error

    def _write_in_time(self, rows: list[dict[str, Any]], correlations: list[dict[str, Any]]) -> None:
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

    def _write(self, rows: list[dict[str, Any]], correlations: list[dict[str, Any]]) -> None:
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
        "type": storable(event.type)[:_MAX_TYPE_LENGTH],
        "severity": event.severity,
        "source": None if event.source is None else storable(event.source),
        "message": storable(event.message),
        "correlation": None if event.correlation is None else event.correlation.decode(),
        "payload": None if event.payload is None else event.payload.decode(),
        "received_at": datetime.fromisoformat(event.received_at),
        "processed_at": now,
        "idempotency_key": None if event.idempotency_key is None else storable(event.idempotency_key),
        "traceparent": event.traceparent,
        "request_id": event.request_id,
        "event_group": event_group(event),
    }


def _correlations(event: Delivered, received_at: datetime) -> Iterator[dict[str, Any]]:
    """Yield a row for each member of the correlation by which the event can be found."""
    if not event.correlation:
        return
    for name, value in searchable_members(event.correlation).items():
        yield {
            "event_id": event.id,
            "name": name,
            "project_id": event.project_id,
            "value": value,
            "received_at": received_at,
        }
