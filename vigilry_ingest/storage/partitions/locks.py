"""Short locks, and the one that keeps programs from changing the partitions at the same time."""

import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError

from vigilry_ingest.storage.engine import DatabaseError, translated_errors

Result = TypeVar("Result")

# Advisory locks are identified by numbers.
_LOCK = zlib.crc32(b"vigilry-ingest partitions")
_WAIT_MS = 100
# A process that waits for this long for a lock makes an autovacuum that holds it stop; see deadlock_timeout.
_VACUUM_MS = 3000
_PAUSE_S = 0.3
# lock_not_available and deadlock_detected.
_LOCKED = ("55P03", "40P01")


def with_brief_locks(
    engine: Engine, work: Callable[[Connection], Result], *, attempts: int, table: str
) -> Result:
    """Run a transaction that waits for no lock longer than 100 ms, because others wait behind it.

    It is tried again a few times. Raises DatabaseError.
    """
    for attempt in range(attempts):
        if attempt:
            time.sleep(_PAUSE_S)
        try:
            with translated_errors(), engine.begin() as connection:
                _wait_at_most(connection, _WAIT_MS)
                return work(connection)
        except DatabaseError as error:
            if not _is_locked(error):
                raise
    raise DatabaseError(
        f"The table {table} is in use by a long transaction, which is not waited for, because others would "
        "wait too: try again later."
    )


def lock_against_vacuum(connection: Connection, table: str, mode: str) -> None:
    """Take a lock that the readers and writers of new events do not wait for; an autovacuum stops for it."""
    _wait_at_most(connection, _VACUUM_MS)
    connection.exec_driver_sql(f"LOCK TABLE ONLY {quoted(connection, table)} IN {mode} MODE")
    _wait_at_most(connection, _WAIT_MS)


def quoted(connection: Connection, name: str) -> str:
    """Return the name of a table or a role as it is written in SQL."""
    return connection.dialect.identifier_preparer.quote(name)


def may_change_partitions(connection: Connection) -> bool:
    """Return whether no other transaction changes partitions, until the end of this one."""
    return bool(connection.scalar(text("SELECT pg_try_advisory_xact_lock(:lock)"), {"lock": _LOCK}))


@contextmanager
def alone(engine: Engine) -> Iterator[None]:
    """Keep others from changing partitions during the block, also when this process is killed in it.

    The lock is that of a transaction, since PgBouncer gives each transaction another connection. It has no
    snapshot, which the build of an index would wait for. Raises DatabaseError.
    """
    with translated_errors(), engine.begin() as connection:
        if not may_change_partitions(connection):
            raise DatabaseError("The partitions are being changed by another process: wait until it ends.")
        # Last, because the snapshot of a query stays until the next statement.
        connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        yield


def _wait_at_most(connection: Connection, milliseconds: int) -> None:
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = {milliseconds}")


def _is_locked(error: DatabaseError) -> bool:
    cause = error.__cause__
    return isinstance(cause, OperationalError) and getattr(cause.orig, "sqlstate", None) in _LOCKED
