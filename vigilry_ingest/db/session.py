"""The engine, the sessions on it, and the database's failures in words for people."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event, make_url, text
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    IntegrityError,
    NoSuchModuleError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
)
from sqlalchemy.orm import Session

from vigilry_ingest.config import ConfigError

_LOCK_WAIT_S = 5


class DatabaseError(Exception):
    """The database cannot be used; the text says why, and what to do."""


def make_engine(url: str) -> Engine:
    """Make the engine for an SQLAlchemy URL; nothing is connected yet.

    Raises ConfigError for a URL that cannot be read, or whose driver is not installed.
    """
    try:
        parsed = make_url(url)
        options: dict[str, Any] = {"pool_pre_ping": True}
        if parsed.get_backend_name() == "sqlite":
            options = {"connect_args": {"timeout": _LOCK_WAIT_S}}
        # An event's text must not come out in a log by way of an error message.
        engine = create_engine(parsed, hide_parameters=True, **options)
    except (ArgumentError, NoSuchModuleError, ValueError, TypeError):
        raise ConfigError(
            "VIGILRY_DATABASE_URL must be an SQLAlchemy URL, such as sqlite:///var/vigilry.db or "
            "postgresql+psycopg://user:password@host/name"
        ) from None
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"VIGILRY_DATABASE_URL needs the driver {error.name}, which is missing: for PostgreSQL install "
            "vigilry-ingest[postgres]"
        ) from None
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _tune_sqlite)
    return engine


def _tune_sqlite(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    # Readers are not held up by a writer, and a commit waits for the disk.
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def make_folder_of(engine: Engine) -> None:
    """Make the folder that an SQLite file stands in; other databases have none.

    Raises DatabaseError.
    """
    if engine.dialect.name == "sqlite" and engine.url.database:
        folder = Path(engine.url.database).parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DatabaseError(f"The folder {folder} cannot be made: {error.strerror}.") from error


@contextmanager
def session_on(engine: Engine) -> Iterator[Session]:
    """Open a session for one piece of work, and commit it when the block ends well.

    Raises DatabaseError when the database cannot be reached or is not migrated.
    """
    with translated_errors(), Session(engine, expire_on_commit=False) as session, session.begin():
        yield session


def answers(engine: Engine) -> None:
    """Ask the database for a sign of life.

    Raises DatabaseError.
    """
    with session_on(engine) as session:
        session.execute(text("SELECT 1"))


@contextmanager
def translated_errors() -> Iterator[None]:
    """Raise DatabaseError for what the driver says: never reached, or not migrated."""
    try:
        yield
    except (OperationalError, ProgrammingError) as error:
        reason = str(error.orig).strip().partition("\n")[0]
        if "no such table" in reason or "does not exist" in reason or "no such column" in reason:
            raise DatabaseError("The database is not migrated: run `flask db upgrade`.") from error
        raise DatabaseError(f"The database cannot be used: {reason}") from error
    except (DataError, IntegrityError, NotSupportedError):
        # The fault of what was asked, and not of the database.
        raise
    except DBAPIError as error:
        raise DatabaseError(f"The database cannot be used: {error.orig}") from error
