"""The free space inside an SQLite file, which SQLite keeps for later until it is asked to return it."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Engine

from vigilry_ingest.storage.engine import translated_errors

_PAGES_AT_ONCE = 500
# https://www.sqlite.org/pragma.html#pragma_auto_vacuum
_INCREMENTAL = 2


def return_free_space(engine: Engine) -> Iterator[int]:
    """Return free pages at the end of the file to the file system, in short steps; yield the pages of each.

    Does nothing on other databases, and on a file that was made without incremental vacuum until it is
    compacted. Raises DatabaseError.
    """
    if engine.dialect.name != "sqlite" or not is_shrinkable(engine):
        return
    while _pragma(engine, "freelist_count"):
        before = _pragma(engine, "page_count")
        _run(engine, f"PRAGMA incremental_vacuum({_PAGES_AT_ONCE})")
        yield before - _pragma(engine, "page_count")
    # The file itself becomes shorter when the log is copied into it.
    truncate_log(engine)


def truncate_log(engine: Engine) -> None:
    """Copy SQLite's write-ahead log into the file and empty it, as far as no reader needs it.

    Raises DatabaseError.
    """
    if engine.dialect.name == "sqlite":
        _run(engine, "PRAGMA wal_checkpoint(TRUNCATE)")


def is_shrinkable(engine: Engine) -> bool:
    """Return whether an SQLite file has incremental vacuum, as those of this version have.

    Raises DatabaseError.
    """
    return _pragma(engine, "auto_vacuum") == _INCREMENTAL


def compact(engine: Engine) -> int:
    """Rewrite an SQLite file without free space, with incremental vacuum; return the bytes that it lost.

    Nobody else can write meanwhile. Raises DatabaseError.
    """
    before = _bytes_of(engine)
    _run(engine, f"PRAGMA auto_vacuum = {_INCREMENTAL}", "VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)")
    return before - _bytes_of(engine)


def _bytes_of(engine: Engine) -> int:
    return _pragma(engine, "page_count") * _pragma(engine, "page_size")


def _pragma(engine: Engine, name: str) -> int:
    return int(_run(engine, f"PRAGMA {name}")[0][0])


def _run(engine: Engine, *statements: str) -> list[Any]:
    """Run statements outside of a transaction, each to its end, and return the rows of the last."""
    rows: list[Any] = []
    with translated_errors(), engine.connect() as connection:
        own = connection.execution_options(isolation_level="AUTOCOMMIT")
        driver: Any = own.connection.driver_connection
        for statement in statements:
            # A statement without rows stops at its first step unless it is fetched.
            rows = driver.execute(statement).fetchall()
    return rows
