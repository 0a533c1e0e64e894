"""Bringing a database to the tables of this version."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, text

from vigilry_ingest.db.session import DatabaseError, NotMigrated, make_folder_of, translated_errors

# Advisory locks are numbers; this one is ours.
_LOCK = zlib.crc32(b"vigilry-ingest migrations")


def upgrade(engine: Engine) -> list[str]:
    """Apply the migrations that are missing and return their names, oldest first.

    Safe to run from several hosts at once: the others wait for the first. Raises DatabaseError when the
    database cannot be reached, or was made by a later version.
    """
    make_folder_of(engine)
    config = _config()
    with translated_errors(), _later_version(), engine.begin() as connection:
        _wait_for_others(connection)
        before = MigrationContext.configure(connection).get_current_revision()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    scripts = ScriptDirectory.from_config(config)
    return [f"{each.revision} {each.doc}" for each in scripts.iterate_revisions("head", before)][::-1]


def check_migrated(engine: Engine) -> None:
    """Check that the database has the tables of this version; those of a later one hold them too.

    Raises NotMigrated, and DatabaseError when the database cannot be reached.
    """
    current = _current_revision(engine)
    if current is None or current in _revisions()[1:]:
        raise NotMigrated


def unknown_revision(engine: Engine) -> str | None:
    """Give the database's revision when this version does not know it, because a later one made it.

    Raises DatabaseError.
    """
    current = _current_revision(engine)
    return None if current in _revisions() else current


def _current_revision(engine: Engine) -> str | None:
    with translated_errors(), engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


@cache
def _revisions() -> tuple[str, ...]:
    """List the revisions that this version knows, its own first."""
    scripts = ScriptDirectory.from_config(_config())
    return tuple(each.revision for each in scripts.walk_revisions())


def _wait_for_others(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        # The others take as long as the migration, and that as long as it must.
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    else:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


@contextmanager
def _later_version() -> Iterator[None]:
    try:
        yield
    except CommandError as error:
        raise DatabaseError(f"The database belongs to another version of this program: {error}.") from error


def _config() -> AlembicConfig:
    config = AlembicConfig()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config
