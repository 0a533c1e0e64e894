"""Database engine, sessions and errors."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, create_engine, make_url
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
from vigilry_ingest.storage.sqlite import LOCK_WAIT_S, check_names_file, configure_sqlite

_POOL_WAIT_S = 5
# The server cancels longer statements: no caller waits for their results any more.
_STATEMENT_MS = 10_000
# PostgreSQL's undefined_table and undefined_column; a message that says "does not exist" may also mean a
# missing database or role. See https://www.postgresql.org/docs/current/errcodes-appendix.html.
_UNDEFINED = ("42P01", "42703")
_QUERY_CANCELED = "57014"
# PgBouncer says this, see `_postgresql_options`; https://www.pgbouncer.org/config.html has the setting.
_OPTIONS_REFUSED = "unsupported startup parameter"
_OPTIONS_ACCEPTED = "ignore_startup_parameters = options"
_SQLITE_UNDEFINED = ("no such table", "no such column")


class DatabaseError(Exception):
    """The database cannot be used; the message states why, and what to do."""


class DatabaseTimeout(DatabaseError):
    """The database has not responded in time."""


class NotMigrated(DatabaseError):
    """The database does not have the tables of this version."""

    def __init__(self) -> None:
        super().__init__("The database is not migrated: run `flask db upgrade`.")


def make_engine(url: str, *, connections: int = 4) -> Engine:
    """Make an engine for an SQLAlchemy URL, without connecting.

    ``connections`` is the maximum number of connections to a server. Raises ConfigError for a URL that is
    malformed or names an in-memory database, and when the driver is not installed.
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
            check_names_file(parsed)
            options = {"connect_args": {"timeout": LOCK_WAIT_S}}
        elif parsed.get_backend_name() == "postgresql":
            options["connect_args"] = _postgresql_options(parsed)
        # Error messages are logged, and must not contain event data.
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
        configure_sqlite(engine)
    return engine


def _postgresql_options(url: URL) -> dict[str, Any]:
    """Return connection options that set time-outs; options in the URL take precedence."""
    options: dict[str, Any] = {
        "application_name": "vigilry-ingest",
        "connect_timeout": 5,
        # Detect an unreachable server within half a minute, also while it has not confirmed what was sent:
        # then there are no keepalives. https://www.postgresql.org/docs/current/libpq-connect.html has both.
        "tcp_user_timeout": 30_000,
        "keepalives_idle": 15,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "options": f"-c statement_timeout={_STATEMENT_MS} -c idle_in_transaction_session_timeout=30000",
    }
    if url.get_driver_name() == "psycopg":
        # PgBouncer may use another connection for each transaction, without earlier prepared statements.
        options["prepare_threshold"] = None
    return {name: value for name, value in options.items() if name not in url.query}


def make_folder_of(engine: Engine) -> None:
    """Create the folder of an SQLite file, with mode 0700; other databases have none.

    Raises DatabaseError.
    """
    if engine.dialect.name == "sqlite" and engine.url.database:
        folder = Path(engine.url.database).parent
        try:
            folder.mkdir(0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise DatabaseError(f"The folder {folder} cannot be created: {error.strerror}.") from error


@contextmanager
def session_on(engine: Engine) -> Iterator[Session]:
    """Open a session, committed at the end of the block and rolled back when it raises.

    Raises DatabaseError when the database cannot be reached or is not migrated.
    """
    with translated_errors(), Session(engine, expire_on_commit=False) as session, session.begin():
        yield session


@contextmanager
def translated_errors() -> Iterator[None]:
    """Translate SQLAlchemy's exceptions to DatabaseError, except those that the statement is to blame for."""
    try:
        yield
    except (OperationalError, ProgrammingError) as error:
        if _is_undefined(error.orig):
            raise NotMigrated from error
        reason = str(error.orig).strip().partition("\n")[0]
        if getattr(error.orig, "sqlstate", None) == _QUERY_CANCELED:
            raise DatabaseTimeout(f"The database has not responded in time: {reason}") from error
        if _OPTIONS_REFUSED in str(error.orig):
            reason = (
                f"PgBouncer refuses the start-up options, so set {_OPTIONS_ACCEPTED} in its configuration."
            )
        raise DatabaseError(f"The database cannot be used: {reason}") from error
    except PoolTimeout as error:
        raise DatabaseError("Every connection to the database is in use.") from error
    except (DataError, IntegrityError, NotSupportedError):
        # The statement or its data are at fault, not the database.
        raise
    except DBAPIError as error:
        raise DatabaseError(f"The database cannot be used: {error.orig}") from error


def _is_undefined(error: BaseException | None) -> bool:
    state = getattr(error, "sqlstate", None)
    return state in _UNDEFINED or (state is None and str(error).startswith(_SQLITE_UNDEFINED))
