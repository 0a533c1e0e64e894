"""Statements that take as long as a table is large; others read and write meanwhile."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, text

from vigilry_ingest.storage.engine import DatabaseError, translated_errors

_INDEX = text("""
    SELECT indisvalid FROM pg_index
    WHERE indexrelid = to_regclass(:name) AND indrelid = to_regclass(:table)
""")


class LongStatements:
    """Runs statements outside of a transaction and without a time-out."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def build_index(self, table: str, name: str, create: str) -> bool:
        """Build an index unless there is one that is complete; return whether it was built.

        Raises DatabaseError.
        """
        is_valid = self._index_state(table, name)
        if is_valid:
            return False
        with self._connection() as connection:
            if is_valid is not None:
                # The build was killed.
                connection.exec_driver_sql(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            connection.exec_driver_sql(create)
        return True

    def analyze(self, table: str) -> None:
        """Collect statistics over all partitions, as autovacuum only does for each of them.

        Raises DatabaseError.
        """
        with self._connection() as connection:
            connection.exec_driver_sql(f"ANALYZE {table}")

    def _index_state(self, table: str, name: str) -> bool | None:
        """Return whether an index is valid, or None if there is none.

        The server completes a build whose client was killed, so that is waited for.
        """
        with translated_errors(), self._engine.begin() as connection:
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            connection.exec_driver_sql(f"LOCK TABLE {table} IN SHARE UPDATE EXCLUSIVE MODE")
            is_valid: bool | None = connection.scalar(_INDEX, {"table": table, "name": name})
            return is_valid

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        with translated_errors(), self._engine.connect() as pooled:
            connection = pooled.execution_options(isolation_level="AUTOCOMMIT")
            if is_behind_pooler(connection):
                # What is set for a connection would be that of others.
                _check_unlimited(connection)
                yield connection
                return
            connection.exec_driver_sql("SET statement_timeout = 0")
            try:
                yield connection
            finally:
                connection.exec_driver_sql("RESET statement_timeout")


def is_behind_pooler(connection: Connection) -> bool:
    """Return whether PgBouncer or the like is in between, whose process ids are not those of PostgreSQL."""
    driver: Any = connection.connection.driver_connection
    return bool(driver.info.backend_pid != connection.scalar(text("SELECT pg_backend_pid()")))


def _check_unlimited(connection: Connection) -> None:
    limit = connection.scalar(text("SELECT current_setting('statement_timeout')"))
    if limit != "0":
        raise DatabaseError(
            f"The connection pooler's statement_timeout is {limit}, which is too short to partition a table: "
            "run this command with a VIGILRY_DATABASE_URL of PostgreSQL itself."
        )
