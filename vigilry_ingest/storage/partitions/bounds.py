"""The bound of what is about to become a partition: all its rows are of a range of time.

PostgreSQL then attaches it without reading it. Rows of another time are refused, so a bound must not stay
when the change does not go on.
"""

from datetime import datetime

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import IntegrityError

from vigilry_ingest.storage.engine import session_on, translated_errors
from vigilry_ingest.storage.partitions.layout import TABLES, bound_of, default_of, read_layout
from vigilry_ingest.storage.partitions.locks import (
    lock_against_vacuum,
    may_change_partitions,
    with_brief_locks,
)

_ATTEMPTS = 20
_IS_LEFT = text("SELECT EXISTS (SELECT FROM pg_constraint WHERE conrelid = to_regclass(:t) AND conname = :n)")


def is_beyond_bound(error: IntegrityError) -> bool:
    """Return whether a row was refused by a bound, which is there only for a while."""
    name = getattr(getattr(error.orig, "diag", None), "constraint_name", None)
    return name in [bound_of(each) for table in TABLES for each in (table.name, default_of(table.name))]


def add_bound(engine: Engine, table: str, start: datetime | None, end: datetime) -> None:
    """Add the bound of a table, and check its rows while others read and write it.

    Raises DatabaseError, and IntegrityError when there are rows of another time.
    """
    condition = f"received_at IS NOT NULL AND received_at < '{end.isoformat()}'"
    if start is not None:
        condition += f" AND received_at >= '{start.isoformat()}'"

    def add(connection: Connection) -> None:
        lock_against_vacuum(connection, table, "SHARE UPDATE EXCLUSIVE")
        for change in (
            f"DROP CONSTRAINT IF EXISTS {bound_of(table)}",
            f"ADD CONSTRAINT {bound_of(table)} CHECK ({condition}) NOT VALID",
        ):
            connection.exec_driver_sql(f"ALTER TABLE {table} {change}")

    with_brief_locks(engine, add, attempts=_ATTEMPTS, table=table)
    with translated_errors(), engine.begin() as connection:
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.exec_driver_sql(f"ALTER TABLE {table} VALIDATE CONSTRAINT {bound_of(table)}")


def drop_bound(engine: Engine, table: str, *, is_shared: bool = False) -> bool:
    """Drop the bound of a table; with ``is_shared`` only if no conversion runs. Return whether it is dropped.

    Raises DatabaseError.
    """

    def drop(connection: Connection) -> bool:
        if is_shared and not may_change_partitions(connection):
            return False
        lock_against_vacuum(connection, table, "SHARE UPDATE EXCLUSIVE")
        connection.exec_driver_sql(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {bound_of(table)}")
        return True

    return with_brief_locks(engine, drop, attempts=_ATTEMPTS, table=table)


def left_bounds(engine: Engine) -> list[str]:
    """Return the tables and default partitions that have a bound, from a conversion that runs or was killed.

    Raises DatabaseError.
    """
    if engine.dialect.name != "postgresql":
        return []
    with session_on(engine) as session:
        kinds = {table.name: read_layout(session.connection(), table.name).kind for table in TABLES}
        names = [
            name if kind == "plain" else default_of(name) for name, kind in kinds.items() if kind != "foreign"
        ]
        return [name for name in names if session.scalar(_IS_LEFT, {"t": name, "n": bound_of(name)})]


def drop_left_bounds(engine: Engine) -> list[str]:
    """Drop the bounds that a killed conversion has left, and return the tables' names; none while one runs.

    Raises DatabaseError.
    """
    return [name for name in left_bounds(engine) if drop_bound(engine, name, is_shared=True)]
