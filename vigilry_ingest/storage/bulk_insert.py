"""Bulk inserts that skip rows which already exist."""

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError

from vigilry_ingest.storage.models import Base

Rows = Sequence[Mapping[str, Any]]


def insert_new_rows(connection: Connection, table: type[Base], rows: Rows) -> None:
    """Insert rows on SQLite."""
    if rows:
        connection.execute(sqlite.insert(table).on_conflict_do_nothing(), rows)


def copy_new_rows(connection: Connection, table: type[Base], rows: Rows) -> None:
    """Insert rows on PostgreSQL with COPY, which is much faster than an INSERT for each row.

    Raises SQLAlchemy's exceptions.
    """
    if not rows:
        return
    name = table.__tablename__
    columns = ", ".join(rows[0])
    # PgBouncer keeps connections, and the temporary tables in them, when a later version has other columns.
    temporary = f"new_{name}_{zlib.crc32(columns.encode()):08x}"
    connection.exec_driver_sql(
        f"CREATE TEMPORARY TABLE IF NOT EXISTS {temporary} (LIKE {name}) ON COMMIT DELETE ROWS"
    )
    dialect = connection.dialect
    try:
        driver: Any = connection.connection.driver_connection
        with driver.cursor() as cursor, cursor.copy(f"COPY {temporary} ({columns}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(tuple(row.values()))
    except dialect.loaded_dbapi.Error as error:
        # COPY bypasses SQLAlchemy, which therefore has not wrapped the driver's error.
        raise DBAPIError.instance(
            f"COPY {name}", None, error, dialect.loaded_dbapi.Error, hide_parameters=True, dialect=dialect
        ) from error
    connection.exec_driver_sql(
        f"INSERT INTO {name} ({columns}) SELECT {columns} FROM {temporary} ON CONFLICT DO NOTHING"  # noqa: S608  constant names
    )
