"""The engine, the sessions on it, and the database's failures in words for people."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event, make_url
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
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from vigilry_ingest.config.settings import ConfigError

_LOCK_WAIT_S = 5
_POOL_WAIT_S = 5
# A statement that takes longer is cut by the server: nobody waits for its answer any more.
_STATEMENT_MS = 10_000
# PostgreSQL's undefined_table and undefined_column; a missing database or role "does not exist" too, but what
# is missing there is not a migration. See https://www.postgresql.org/docs/current/errcodes-appendix.html.
_UNDEFINED = ("42P01", "42703")
_UNDEFINED_IN_SQLITE = ("no such table", "no such column")


class DatabaseError(Exception):
    """The database cannot be used; the text says why, and what to do."""


class NotMigrated(DatabaseError):
    """The database lacks the tables of this version."""

    def __init__(self) -> None:
        super().__init__("The database is not migrated: run `flask db upgrade`.")


def make_engine(url: str, *, connections: int = 4) -> Engine:
    """Make the engine for an SQLAlchemy URL, with so many connections at most; nothing is connected yet.

    Raises ConfigError for a URL that cannot be read, that names no file, or whose driver is not installed.
    """
    try:
        parsed = make_url(url)
        options: dict[str, Any] = {
            "pool_pre_ping": True,
            "pool_size": connections,
            "max_overflow": 0,
            "pool_timeout": _POOL_WAIT_S,
        }
        if parsed.get_backend_name() == "sqlite":
            _refuse_in_memory(parsed)
            options = {"connect_args": {"timeout": _LOCK_WAIT_S}}
        elif parsed.get_backend_name() == "postgresql":
            options["connect_args"] = _postgresql_options(parsed)
        # An event's text must not come out in a log by way of an error message.
        engine = create_engine(parsed, hide_parameters=True, **options)
    except ConfigError:
        raise
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


def _refuse_in_memory(url: URL) -> None:
    is_in_memory = ":memory:" in (url.database or ":memory:") or url.query.get("mode") == "memory"
    if is_in_memory:
        raise ConfigError(
            "VIGILRY_DATABASE_URL must name a file, such as sqlite:///var/vigilry.db: each process and each "
            "command would have a database in memory to itself, and lose it when it ends"
        )


def _postgresql_options(url: URL) -> dict[str, Any]:
    """Bound what a connection waits for; what the operator has written into the URL wins."""
    options: dict[str, Any] = {
        "application_name": "vigilry-ingest",
        "connect_timeout": 5,
        # A server that went away without a word is noticed within half a minute.
        "keepalives_idle": 15,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "options": f"-c statement_timeout={_STATEMENT_MS} -c idle_in_transaction_session_timeout=30000",
    }
    if url.get_driver_name() == "psycopg":
        # PgBouncer gives each transaction another connection, which knows nothing of earlier statements.
        options["prepare_threshold"] = None
    return {name: value for name, value in options.items() if name not in url.query}


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


@contextmanager
def translated_errors() -> Iterator[None]:
    """Raise DatabaseError for what the driver says: never reached, or not migrated."""
    try:
        yield
    except (OperationalError, ProgrammingError) as error:
        if _lacks_what_a_migration_makes(error.orig):
            raise NotMigrated from error
        reason = str(error.orig).strip().partition("\n")[0]
        raise DatabaseError(f"The database cannot be used: {reason}") from error
    except PoolTimeout as error:
        raise DatabaseError("Every connection to the database is in use.") from error
    except (DataError, IntegrityError, NotSupportedError):
        # The fault of what was asked, and not of the database.
        raise
    except DBAPIError as error:
        raise DatabaseError(f"The database cannot be used: {error.orig}") from error


def _lacks_what_a_migration_makes(error: BaseException | None) -> bool:
    state = getattr(error, "sqlstate", None)
    return state in _UNDEFINED or (state is None and str(error).startswith(_UNDEFINED_IN_SQLITE))
