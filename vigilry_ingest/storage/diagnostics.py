"""Looking at the tables as an operator would: whether each can be used, and why not."""

from collections.abc import Iterator

from sqlalchemy import Connection, Engine, Table, func, select

from vigilry_ingest.storage.engine import DatabaseError, NotMigrated, session_on
from vigilry_ingest.storage.models import ApiKey, Base, Project

_CHANGED = (Project.__tablename__, ApiKey.__tablename__)


def table_faults(engine: Engine) -> list[str]:
    """Say of each table of this version why it cannot be used; nothing when all can.

    Raises DatabaseError.
    """
    tables = Base.metadata.sorted_tables
    faults = [fault for table in tables if (fault := _why_unreadable(engine, table))]
    if not faults and engine.dialect.name == "postgresql":
        with session_on(engine) as session:
            faults = list(_missing_privileges(session.connection(), tables))
    return faults


def _why_unreadable(engine: Engine, table: Table) -> str:
    try:
        with session_on(engine) as session:
            # It names every column.
            session.execute(select(table).limit(1))
    except NotMigrated:
        return f"Its table {table.name}, or a column of it, is gone since it was migrated: restore a backup."
    except DatabaseError as error:
        return f"Its table {table.name} cannot be read. {error}"
    return ""


def _missing_privileges(connection: Connection, tables: list[Table]) -> Iterator[str]:
    for table in tables:
        for privilege in ("INSERT", "UPDATE") if table.name in _CHANGED else ("INSERT",):
            if not connection.scalar(select(func.has_table_privilege(table.name, privilege))):
                yield f"Its role may not {privilege} on the table {table.name}."
    # The worker copies events into a table of its own first.
    if not connection.scalar(select(func.has_database_privilege(func.current_database(), "TEMPORARY"))):
        yield "Its role may not make temporary tables, by which the worker stores events."
