"""Checks of the tables and privileges that this version needs."""

from collections.abc import Iterator

from sqlalchemy import Connection, Engine, Table, func, select

from vigilry_ingest.storage.engine import DatabaseError, NotMigrated, session_on
from vigilry_ingest.storage.models import ApiKey, Base, Project

_UPDATED = (Project.__tablename__, ApiKey.__tablename__)


def table_faults(engine: Engine) -> list[str]:
    """Return a message for each table that cannot be used as this version needs it.

    Raises DatabaseError.
    """
    tables = Base.metadata.sorted_tables
    faults = [fault for table in tables if (fault := _read_fault(engine, table))]
    if not faults and engine.dialect.name == "postgresql":
        with session_on(engine) as session:
            faults = list(_missing_privileges(session.connection(), tables))
    return faults


def _read_fault(engine: Engine, table: Table) -> str:
    try:
        with session_on(engine) as session:
            # Selects every column by name.
            session.execute(select(table).limit(1))
    except NotMigrated:
        return (
            f"The table {table.name} or one of its columns is missing after the migrations: restore a backup."
        )
    except DatabaseError as error:
        return f"The table {table.name} cannot be read. {error}"
    return ""


def _missing_privileges(connection: Connection, tables: list[Table]) -> Iterator[str]:
    for table in tables:
        for privilege in ("INSERT", "UPDATE") if table.name in _UPDATED else ("INSERT",):
            if not connection.scalar(select(func.has_table_privilege(table.name, privilege))):
                yield f"The role lacks the privilege {privilege} on the table {table.name}."
    # The worker copies events into a temporary table first.
    if not connection.scalar(select(func.has_database_privilege(func.current_database(), "TEMPORARY"))):
        yield "The role may not create temporary tables, which the worker needs to store events."
