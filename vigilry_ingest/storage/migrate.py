"""Schema migrations."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, text
from sqlalchemy.orm import Session

from vigilry_ingest.storage.audit_log import Change, append, lock_audit_log
from vigilry_ingest.storage.engine import DatabaseError, make_folder_of, translated_errors
from vigilry_ingest.storage.partitions.swapping import partition_empty_tables

# Advisory locks are identified by numbers.
_LOCK = zlib.crc32(b"vigilry-ingest migrations")


def upgrade(engine: Engine, period: str = "month") -> list[str]:
    """Apply pending migrations and return their names, oldest first.

    On PostgreSQL the tables of events of a new database are partitioned; others could be in use by an earlier
    version. Safe to run on several hosts at once: the others wait for the first. Raises DatabaseError when
    the database cannot be used, or was migrated by a later version.
    """
    make_folder_of(engine)
    config = _config()
    with translated_errors(), _refuse_later_version(), engine.begin() as connection:
        _wait_for_others(connection)
        before = MigrationContext.configure(connection).get_current_revision()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        scripts = ScriptDirectory.from_config(config)
        pending = list(scripts.iterate_revisions("head", before))[::-1]
        if pending:
            _record(connection, before, pending[-1].revision)
        if before is None:
            partition_empty_tables(connection, period, datetime.now(UTC))
    return [f"{each.revision} {each.doc}" for each in pending]


def _record(connection: Connection, before: str | None, after: str) -> None:
    with Session(connection, join_transaction_mode="rollback_only") as session:
        append(session, Change("db.upgrade", after, None, {"revision": before}, {"revision": after}))


def _wait_for_others(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        # Waiting for another migration may take longer than a statement is allowed to.
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    # Before the tables are locked, because others lock them after the log.
    lock_audit_log(connection)


@contextmanager
def _refuse_later_version() -> Iterator[None]:
    try:
        yield
    except CommandError as error:
        raise DatabaseError(
            f"The database was migrated by another version of this program: {error}."
        ) from error


def _config() -> AlembicConfig:
    config = AlembicConfig()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config
