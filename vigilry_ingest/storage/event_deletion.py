"""Deleting stored events, in transactions that hold their locks only briefly."""

import time
from collections.abc import Iterator

from sqlalchemy import Engine, delete, select

from vigilry_ingest.storage.engine import session_on
from vigilry_ingest.storage.event_queries import Filter
from vigilry_ingest.storage.models import EventCorrelation, StoredEvent

_FIRST_SIZE, _MAX_SIZE = 50, 5000
# The time that a transaction aims for; on SQLite nobody else can write meanwhile.
_MIN_S, _MAX_S = 0.02, 0.04


def delete_events(engine: Engine, wanted: Filter, *, is_overwritten: bool = False) -> Iterator[int]:
    """Delete the matching events with their correlations, oldest first, and yield the size of each batch.

    The batches have a size that takes 20 to 40 ms, so that no lock is held for long. With ``is_overwritten``
    SQLite overwrites the deleted data in its file with zeros. Raises DatabaseError.
    """
    size = _FIRST_SIZE
    while ids := _oldest(engine, wanted, size):
        began = time.monotonic()
        deleted = _delete(engine, ids, is_overwritten=is_overwritten)
        spent_s = time.monotonic() - began
        yield deleted
        if spent_s > _MAX_S:
            size = max(size // 2, 1)
        elif spent_s < _MIN_S:
            size = min(size * 2, _MAX_SIZE)


def _oldest(engine: Engine, wanted: Filter, size: int) -> list[str]:
    query = select(StoredEvent.id).where(*wanted.conditions()).order_by(StoredEvent.received_at).limit(size)
    with session_on(engine) as session:
        return list(session.scalars(query))


def _delete(engine: Engine, ids: list[str], *, is_overwritten: bool) -> int:
    with session_on(engine) as session:
        if is_overwritten and engine.dialect.name == "sqlite":
            session.connection().exec_driver_sql("PRAGMA secure_delete = ON")
        session.execute(delete(EventCorrelation).where(EventCorrelation.event_id.in_(ids)))
        return session.connection().execute(delete(StoredEvent).where(StoredEvent.id.in_(ids))).rowcount
