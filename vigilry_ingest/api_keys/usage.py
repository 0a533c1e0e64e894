"""When a key was last used: written seldom, and never waited for."""

import threading
import time
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, update

from vigilry_ingest.storage.deadlines import THREAD_NAME
from vigilry_ingest.storage.engine import DatabaseError, translated_errors
from vigilry_ingest.storage.models import ApiKey

_EVERY = timedelta(minutes=5)
_TRIES = 20
_PAUSE_S = 0.1
# They are keys that were let in, so there are seldom more; then all are forgotten.
_MAX_REMEMBERED = 10_000


class KeyUsage:
    """Writes down that keys are in use, for each once in five minutes, and nobody waits for it.

    One thread at a time writes for all that have come meanwhile. A database that cannot be written to for two
    seconds is not tried again for these keys before the five minutes are over.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._mutex = threading.Lock()
        self._waiting: set[str] = set()
        # From when on this process may write of a key again, on the monotonic clock.
        self._again_at: dict[str, float] = {}

    def note(self, key: ApiKey) -> None:
        """Note that a key was let in, unless that was done within the last minutes."""
        if key.last_used_at is not None and datetime.now(UTC) - key.last_used_at < _EVERY:
            return
        now = time.monotonic()
        with self._mutex:
            if now < self._again_at.get(key.id, now):
                return
            if len(self._again_at) >= _MAX_REMEMBERED:
                self._again_at.clear()
            self._again_at[key.id] = now + _EVERY.total_seconds()
            is_first = not self._waiting
            self._waiting.add(key.id)
        if is_first:
            threading.Thread(target=self._write, name=THREAD_NAME, daemon=True).start()

    def _write(self) -> None:
        for _ in range(_TRIES):
            time.sleep(_PAUSE_S)
            with self._mutex:
                used = tuple(self._waiting)
            try:
                self._update(used)
            except DatabaseError:
                continue
            with self._mutex:
                self._waiting.difference_update(used)
                if not self._waiting:
                    return
        with self._mutex:
            self._waiting.clear()

    def _update(self, used: tuple[str, ...]) -> None:
        with translated_errors(), self._engine.connect() as connection:
            if self._engine.dialect.name == "sqlite":
                # On a connection of its own, and without SQLite's wait for another writer: that is a system
                # call, which would hold up every request of a gevent worker.
                connection.detach()
                connection.exec_driver_sql("PRAGMA busy_timeout = 0")
            else:
                connection.exec_driver_sql("SET LOCAL lock_timeout = 100")
            connection.execute(
                update(ApiKey).where(ApiKey.id.in_(used)).values(last_used_at=datetime.now(UTC))
            )
            connection.commit()
