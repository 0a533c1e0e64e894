"""Dropping partitions whole, once every event in them is past its time."""

import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from sqlalchemy import Connection, Engine, text

from vigilry_ingest.storage.engine import session_on
from vigilry_ingest.storage.models import EventCorrelation, StoredEvent
from vigilry_ingest.storage.partitions.layout import Partition, layouts
from vigilry_ingest.storage.partitions.locks import (
    lock_against_vacuum,
    may_change_partitions,
    quoted,
    with_brief_locks,
)

_log = logging.getLogger(__name__)

# Of a project's id and the end of a partition: whether its events from before then are past their time.
IsExpired = Callable[[str, datetime], bool]

_ATTEMPTS = 5
# Up to here rows are counted; above, the number is the estimate that autovacuum keeps.
_MAX_COUNTED = 100_000


def drop_expired(engine: Engine, is_expired: IsExpired) -> Iterator[int]:
    """Drop the partitions with events of which all are expired, and yield about how many each had.

    The correlations of the same time follow. Raises DatabaseError, also when a partition is in use.
    """
    found = layouts(engine)
    if not all(each.is_managed for each in found.values()):
        return
    now = datetime.now(UTC)
    for each in found[StoredEvent.__tablename__].ranges:
        if (
            each.end is not None
            and each.end <= now
            and (rows := _drop_events(engine, each, is_expired)) is not None
        ):
            yield rows
    left = layouts(engine)[StoredEvent.__tablename__].ranges
    for each in found[EventCorrelation.__tablename__].ranges:
        if each.end is not None and each.end <= now and not any(_overlap(each, other) for other in left):
            _drop_correlations(engine, each)


def _drop_events(engine: Engine, each: Partition, is_expired: IsExpired) -> int | None:
    """Drop a partition if all projects in it are expired, and return its rows."""

    def are_expired(connection: Connection) -> bool:
        # If there is none, those count that have no days of their own.
        projects = _projects_in(connection, each.name) or [""]
        return all(each.end is not None and is_expired(project, each.end) for project in projects)

    def drop(connection: Connection) -> int | None:
        # Late events can have come since: those that come now wait, and go to the default partition.
        if not _lock(connection, each) or not are_expired(connection):
            return None
        rows = _rows_of(connection, each.name)
        connection.exec_driver_sql(f"DROP TABLE {quoted(connection, each.name)}")
        return rows

    with session_on(engine) as session:
        if not are_expired(session.connection()):
            return None
    rows = with_brief_locks(engine, drop, attempts=_ATTEMPTS, table=each.name)
    if rows is not None:
        _log.info("dropped a partition", extra={"table": each.name, "events": rows})
    return rows


def _drop_correlations(engine: Engine, each: Partition) -> None:
    """Drop a partition of correlations unless an event of its time is left, in the default partition."""
    query = text("""
        SELECT EXISTS (
            SELECT FROM events WHERE received_at >= coalesce(:start, '-infinity'::timestamptz)
            AND received_at < :end
        )
    """)

    def drop(connection: Connection) -> bool:
        is_dropped = _lock(connection, each) and not connection.scalar(query, each._asdict())
        if is_dropped:
            connection.exec_driver_sql(f"DROP TABLE {quoted(connection, each.name)}")
        return is_dropped

    if with_brief_locks(engine, drop, attempts=_ATTEMPTS, table=each.name):
        _log.info("dropped a partition", extra={"table": each.name})


def _lock(connection: Connection, each: Partition) -> bool:
    if not may_change_partitions(connection):
        return False
    lock_against_vacuum(connection, each.name, "SHARE")
    return True


def _projects_in(connection: Connection, name: str) -> list[str]:
    """Return the projects with rows in a partition; each is one look-up in an index."""
    table = quoted(connection, name)
    query = f"""
        WITH RECURSIVE projects AS (
            SELECT min(project_id) AS id FROM {table}
            UNION ALL
            SELECT (SELECT min(project_id) FROM {table} WHERE project_id > projects.id)
            FROM projects WHERE id IS NOT NULL
        )
        SELECT id FROM projects WHERE id IS NOT NULL
    """  # noqa: S608  a name from the catalog
    return list(connection.scalars(text(query)))


def _rows_of(connection: Connection, name: str) -> int:
    estimate = connection.scalar(
        text("SELECT reltuples::bigint FROM pg_class WHERE oid = to_regclass(:name)"),
        {"name": quoted(connection, name)},
    )
    if estimate is not None and estimate > _MAX_COUNTED:
        return int(estimate)
    return connection.scalar(text(f"SELECT count(*) FROM {quoted(connection, name)}")) or 0  # noqa: S608  as above


def _overlap(one: Partition, other: Partition) -> bool:
    return (one.start is None or other.end is None or one.start < other.end) and (
        other.start is None or one.end is None or other.start < one.end
    )
