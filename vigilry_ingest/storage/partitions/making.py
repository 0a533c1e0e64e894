"""Making partitions: a partitioned table's own parts, and partitions ahead of time."""

from collections.abc import Iterator
from datetime import datetime
from functools import partial

from sqlalchemy import Connection, Engine, Table, text

from vigilry_ingest.storage.engine import DatabaseError, DatabaseTimeout
from vigilry_ingest.storage.partitions.dependents import copy_owner
from vigilry_ingest.storage.partitions.layout import MARK, Layout, default_of, layouts, read_layout
from vigilry_ingest.storage.partitions.locks import may_change_partitions, quoted, with_brief_locks
from vigilry_ingest.storage.partitions.periods import next_start, start_of, starts_ahead

_ATTEMPTS = 3
_CHECK_MS = 1000
# Everything that a table has, except what is made by name.
_LIKE = "INCLUDING ALL EXCLUDING INDEXES EXCLUDING CONSTRAINTS EXCLUDING STATISTICS EXCLUDING IDENTITY"


def make_ahead(engine: Engine, period: str, now: datetime) -> Iterator[str]:
    """Make the missing partitions of the present period and those after it; yield the name of each.

    A period of which the default partition has rows gets none, as those rows would have to be moved. Raises
    DatabaseError.
    """
    for table, found in layouts(engine).items():
        if found.is_managed and _missing(found, period, now):
            make = partial(_make_missing_in_time, table=table, period=period, now=now)
            try:
                yield from with_brief_locks(engine, make, attempts=_ATTEMPTS, table=table)
            except DatabaseTimeout as error:
                raise DatabaseError(
                    f"{default_of(table)} has too many rows to make a partition of {table} beside it: run "
                    "`flask db partition` as the owner."
                ) from error


def make_parent(connection: Connection, table: Table, like: str) -> None:
    """Make a partitioned table, with its default partition, that has the columns of another one."""
    for statement in (
        f"CREATE TABLE {table.name} (LIKE {like} {_LIKE}) PARTITION BY RANGE (received_at)",
        f"ALTER TABLE {table.name} ADD CONSTRAINT pk_{table.name} PRIMARY KEY ({', '.join(key_of(table))})",
        f"COMMENT ON TABLE {table.name} IS '{MARK}'",
    ):
        connection.exec_driver_sql(statement)
    for index in sorted(table.indexes, key=lambda each: str(each.name)):
        index.create(connection)
    # Rows of a time that has no partition are stored too, whatever the clocks say and nobody has made.
    attach(connection, table.name, default_of(table.name), "DEFAULT")


def key_of(table: Table) -> list[str]:
    """Return the columns of a partitioned table's primary key, which PostgreSQL wants the time in."""
    return [*(column.name for column in table.primary_key), "received_at"]


def make_partitions(connection: Connection, table: Table, period: str, now: datetime) -> list[str]:
    """Make the missing partitions within a transaction, and return their names."""
    return _make_missing(connection, table.name, period, now)


def rows_in_default(engine: Engine) -> list[str]:
    """Return the names of the default partitions that have rows.

    Raises DatabaseError.
    """
    found = layouts(engine)
    with engine.connect() as connection:
        return [
            default_of(table)
            for table, layout in found.items()
            if layout.is_managed and _has_rows(connection, default_of(table), "true", {})
        ]


def _make_missing_in_time(connection: Connection, table: str, period: str, now: datetime) -> list[str]:
    # PostgreSQL reads the default partition, and nobody else can, to see that it has no row for the new one.
    connection.exec_driver_sql(f"SET LOCAL statement_timeout = {_CHECK_MS}")
    return _make_missing(connection, table, period, now)


def _make_missing(connection: Connection, table: str, period: str, now: datetime) -> list[str]:
    if not may_change_partitions(connection):
        return []
    made = []
    for start, end in _missing(read_layout(connection, table), period, now):
        times = {"start": start, "end": end}
        if _has_rows(connection, default_of(table), "received_at >= :start AND received_at < :end", times):
            continue
        name = name_of(table, start)
        attach(connection, table, name, f"FOR VALUES FROM ('{start.isoformat()}') TO ('{end.isoformat()}')")
        made.append(name)
    return made


def _missing(found: Layout, period: str, now: datetime) -> list[tuple[datetime, datetime]]:
    """Return the times of the missing partitions; they begin where the last one ends, whatever its period."""
    start = max([start_of(period, now), *(each.end for each in found.ranges if each.end)])
    missing = []
    while start < starts_ahead(period, now):
        end = next_start(period, start)
        missing.append((start, end))
        start = end
    return missing


def name_of(table: str, start: datetime) -> str:
    """Return the name of the partition that begins at a time."""
    return f"{table}_{start:%Y_%m_%d}"


def attach(connection: Connection, table: str, name: str, bounds: str) -> None:
    """Make a partition and attach it: unlike for CREATE TABLE … PARTITION OF, no writer waits for that."""
    own = quoted(connection, name)
    connection.exec_driver_sql(f"CREATE TABLE {own} (LIKE {table} INCLUDING ALL)")
    copy_owner(connection, table, own)
    connection.exec_driver_sql(f"ALTER TABLE {table} ATTACH PARTITION {own} {bounds}")


def _has_rows(connection: Connection, name: str, condition: str, values: dict[str, datetime]) -> bool:
    query = f"SELECT EXISTS (SELECT FROM {quoted(connection, name)} WHERE {condition})"  # noqa: S608  constant names
    return bool(connection.scalar(text(query), values))
