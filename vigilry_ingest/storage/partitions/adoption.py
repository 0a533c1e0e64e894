"""A default partition that has taken the events of periods for which nobody has made partitions.

It becomes the partition of those periods, as a plain table becomes the first one, and gets a successor.
"""

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from functools import partial

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import IntegrityError

from vigilry_ingest.storage.engine import DatabaseError
from vigilry_ingest.storage.partitions.bounds import add_bound, drop_bound
from vigilry_ingest.storage.partitions.layout import bound_of, default_of, layouts
from vigilry_ingest.storage.partitions.locks import lock_against_vacuum, with_brief_locks
from vigilry_ingest.storage.partitions.making import attach, name_of, rows_in_default
from vigilry_ingest.storage.partitions.periods import next_start

_ATTEMPTS = 200


def adopt_defaults(engine: Engine, period: str, now: datetime) -> Iterator[str]:
    """Turn each default partition with rows of missing periods into a partition, and yield what was done.

    One that also has rows of another time stays as it is. Raises DatabaseError.
    """
    filled = rows_in_default(engine)
    for table, found in layouts(engine).items():
        start = max((each.end for each in found.ranges if each.end), default=now)
        if default_of(table) not in filled or start >= now:
            continue
        try:
            yield _adopt(engine, table, start, next_start(period, next_start(period, now)))
        except IntegrityError:
            yield f"left {default_of(table)} alone, which has rows of another time"
        finally:
            with suppress(DatabaseError):
                drop_bound(engine, default_of(table))


def _adopt(engine: Engine, table: str, start: datetime, end: datetime) -> str:
    add_bound(engine, default_of(table), start, end)
    name = name_of(table, start)
    exchange = partial(_exchange, table=table, name=name, start=start, end=end)
    with_brief_locks(engine, exchange, attempts=_ATTEMPTS, table=table)
    return f"made {default_of(table)} the partition {name}"


def _exchange(connection: Connection, table: str, name: str, start: datetime, end: datetime) -> None:
    default, run = default_of(table), connection.exec_driver_sql
    lock_against_vacuum(connection, default, "SHARE UPDATE EXCLUSIVE")
    run(f"ALTER TABLE {table} DETACH PARTITION {default}")
    run(f"ALTER TABLE {default} RENAME TO {name}")
    bounds = f"FROM ('{start.isoformat()}') TO ('{end.isoformat()}')"
    run(f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES {bounds}")
    run(f"ALTER TABLE {name} DROP CONSTRAINT {bound_of(default)}")
    attach(connection, table, default, "DEFAULT")
