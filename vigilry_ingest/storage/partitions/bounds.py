"""The bound of a table that is about to become a partition: no row is from after it.

PostgreSQL then attaches the table without reading it. Events from after the bound are refused, so it must not
stay when the conversion does not go on.
"""

from datetime import datetime

from sqlalchemy import Connection, Engine, Table, text
from sqlalchemy.exc import IntegrityError

from vigilry_ingest.storage.engine import session_on, translated_errors
from vigilry_ingest.storage.partitions.layout import TABLES
from vigilry_ingest.storage.partitions.locks import (
    lock_against_vacuum,
    may_change_partitions,
    with_brief_locks,
)
from vigilry_ingest.storage.partitions.swapping import plain_tables

_ATTEMPTS = 20
_IS_LEFT = text("SELECT EXISTS (SELECT FROM pg_constraint WHERE conrelid = to_regclass(:t) AND conname = :n)")


def bound_of(table: Table) -> str:
    """Return the name of a table's bound."""
    return f"ck_{table.name}_first"


def is_beyond_bound(error: IntegrityError) -> bool:
    """Return whether a row was refused by a bound, which is there only for a while."""
    name = getattr(getattr(error.orig, "diag", None), "constraint_name", None)
    return name in [bound_of(table) for table in TABLES]


def add_bound(engine: Engine, table: Table, end: datetime) -> None:
    """Add the bound of a table, and check its rows while others read and write it.

    Raises DatabaseError.
    """
    name = bound_of(table)

    def add(connection: Connection) -> None:
        lock_against_vacuum(connection, table.name, "SHARE UPDATE EXCLUSIVE")
        for change in (
            f"DROP CONSTRAINT IF EXISTS {name}",
            f"ADD CONSTRAINT {name} "
            f"CHECK (received_at IS NOT NULL AND received_at < '{end.isoformat()}') NOT VALID",
        ):
            connection.exec_driver_sql(f"ALTER TABLE {table.name} {change}")

    with_brief_locks(engine, add, attempts=_ATTEMPTS, table=table.name)
    with translated_errors(), engine.begin() as connection:
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.exec_driver_sql(f"ALTER TABLE {table.name} VALIDATE CONSTRAINT {name}")


def drop_bound(engine: Engine, table: Table, *, is_shared: bool = False) -> bool:
    """Drop the bound of a table; with ``is_shared`` only if no conversion runs. Return whether it is dropped.

    Raises DatabaseError.
    """

    def drop(connection: Connection) -> bool:
        if is_shared and not may_change_partitions(connection):
            return False
        lock_against_vacuum(connection, table.name, "SHARE UPDATE EXCLUSIVE")
        connection.exec_driver_sql(f"ALTER TABLE {table.name} DROP CONSTRAINT IF EXISTS {bound_of(table)}")
        return True

    return with_brief_locks(engine, drop, attempts=_ATTEMPTS, table=table.name)


def left_bounds(engine: Engine) -> list[Table]:
    """Return the plain tables that have a bound, from a conversion that runs or was killed.

    Raises DatabaseError.
    """
    if engine.dialect.name != "postgresql":
        return []
    with session_on(engine) as session:
        return [
            table
            for table in plain_tables(session.connection())
            if session.scalar(_IS_LEFT, {"t": table.name, "n": bound_of(table)})
        ]


def drop_left_bounds(engine: Engine) -> list[str]:
    """Drop the bounds that a killed conversion has left, and return the tables' names; none while one runs.

    Raises DatabaseError.
    """
    return [table.name for table in left_bounds(engine) if drop_bound(engine, table, is_shared=True)]
