"""Record of when each key was last used, written in the background."""

import logging
import threading
import time
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, update

from vigilry_ingest.storage.deadlines import THREAD_NAME
from vigilry_ingest.storage.engine import DatabaseError, translated_errors
from vigilry_ingest.storage.models import ApiKey

_log = logging.getLogger(__name__)

_INTERVAL = timedelta(minutes=5)
_MAX_ATTEMPTS = 20
_PAUSE_S = 0.1
# Only keys that were accepted count, so there are seldom more; beyond that all are forgotten.
_MAX_REMEMBERED = 10_000


class KeyUsage:
    """Records the use of keys, for each at most once in five minutes; callers never wait for it.

    One background thread at a time writes for all keys that are waiting. Uses that cannot be written within
    two seconds are dropped; the keys are recorded with their next use after five minutes.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._mutex = threading.Lock()
        # Not empty exactly while a thread is writing.
        self._waiting: set[str] = set()
        # When the use of a key may be recorded next, on the monotonic clock.
        self._due_at: dict[str, float] = {}

    def note(self, key: ApiKey) -> None:
        """Record that a key was accepted, unless that was done within the last minutes. Never raises."""
        if key.last_used_at is not None and datetime.now(UTC) - key.last_used_at < _INTERVAL:
            return
        now = time.monotonic()
        with self._mutex:
            if now < self._due_at.get(key.id, now):
                return
            if len(self._due_at) >= _MAX_REMEMBERED:
                self._due_at.clear()
            self._due_at[key.id] = now + _INTERVAL.total_seconds()
            is_first = not self._waiting
            self._waiting.add(key.id)
        if is_first:
            self._start_writing()

    def _start_writing(self) -> None:
        try:
            threading.Thread(target=self._write, name=THREAD_NAME, daemon=True).start()
        except Exception:
            self._drop_waiting()
            _log.exception("use of keys not recorded: no thread can be started")

    def _write(self) -> None:
        is_written = False
        try:
            is_written = self._write_waiting()
        except Exception:
            _log.exception("use of keys not recorded")
        finally:
            # Otherwise the next key would wait for this thread, which has ended.
            if not is_written:
                self._drop_waiting()

    def _write_waiting(self) -> bool:
        """Write until no key is waiting, and return whether that succeeded."""
        reason = ""
        for _ in range(_MAX_ATTEMPTS):
            time.sleep(_PAUSE_S)
            with self._mutex:
                used = tuple(self._waiting)
            try:
                self._update(used)
            except DatabaseError as error:
                reason = str(error)
                continue
            with self._mutex:
                self._waiting.difference_update(used)
                if not self._waiting:
                    return True
        _log.warning("use of keys not recorded", extra={"reason": reason})
        return False

    def _drop_waiting(self) -> None:
        with self._mutex:
            self._waiting.clear()

    def _update(self, used: tuple[str, ...]) -> None:
        with translated_errors(), self._engine.connect() as connection:
            if self._engine.dialect.name == "sqlite":
                # On a connection of its own, without SQLite's wait for another writer: that wait is a system
                # call, which would block every request of a gevent worker.
                connection.detach()
                connection.exec_driver_sql("PRAGMA busy_timeout = 0")
            else:
                connection.exec_driver_sql("SET LOCAL lock_timeout = 100")
            connection.execute(
                update(ApiKey).where(ApiKey.id.in_(used)).values(last_used_at=datetime.now(UTC))
            )
            connection.commit()
