"""SQLite specifics: files that only their owner can read, and pragmas."""

import sqlite3
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from sqlalchemy import URL, Engine, event

from vigilry_ingest.config.settings import ConfigError

# How long a connection waits for another's lock.
LOCK_WAIT_S = 5.0

# Held while a file is created; see _create_private_file.
_creation = threading.Lock()


def check_names_file(url: URL) -> None:
    """Check that a URL does not name an in-memory database.

    Raises ConfigError.
    """
    is_in_memory = ":memory:" in (url.database or ":memory:") or url.query.get("mode") == "memory"
    if is_in_memory:
        raise ConfigError(
            "VIGILRY_DATABASE_URL must name a file, such as sqlite:///var/vigilry.db: an in-memory database "
            "is not shared between processes and is lost when they exit"
        )


def configure_sqlite(engine: Engine) -> None:
    """Create a missing file with mode 0600, and set the pragmas of each new connection."""
    event.listen(engine, "do_connect", _create_private_file)
    event.listen(engine, "connect", _set_pragmas)


def _create_private_file(_dialect: Any, _record: Any, arguments: list[Any], options: dict[str, Any]) -> None:
    """Create a missing SQLite file with mode 0600; SQLite gives its -wal and -shm files the same mode.

    SQLite itself would create it with the mode that the umask leaves, which is usually readable by everyone.
    """
    name = str(arguments[0])
    if options.get("uri") and name.startswith("file:"):
        uri = urlsplit(name)
        if parse_qs(uri.query).get("mode", ["rwc"]) != ["rwc"]:
            return
        name = unquote(uri.path)
    # Closing a file drops this process's locks on it, so no thread may connect before the new file is closed,
    # and an existing file must not be opened. SQLite reports any error when it connects.
    with _creation, suppress(OSError):
        Path(name).touch(0o600, exist_ok=False)


def _set_pragmas(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    if cursor.execute("PRAGMA page_count").fetchone() == (0,):
        # Only an empty file takes it, which it no longer is after the next pragma.
        cursor.execute("PRAGMA auto_vacuum=INCREMENTAL")
    _use_wal(cursor)
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _use_wal(cursor: Any) -> None:
    """Let writers not block readers; the file remembers it."""
    deadline = time.monotonic() + LOCK_WAIT_S
    while cursor.execute("PRAGMA journal_mode").fetchone() != ("wal",):
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError:
            # Another connection is doing the same; the time-out of a connection does not apply here.
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
