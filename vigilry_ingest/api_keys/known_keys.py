"""Set of the keys in a table; rejects unknown ones without a query for each."""

import threading
import time
from collections.abc import Callable

from vigilry_ingest.storage.deadlines import run_with_deadline
from vigilry_ingest.storage.engine import DatabaseError

# Reading the list takes at most one twentieth of the time, and no two reads begin within half a second.
_MIN_AGE_S = 0.5
_AGE_PER_READ_TIME = 20
_RETRY_S = 1.0


class KnownKeys:
    """The keys of a table, read on demand and cached for at least half a second.

    Takes about 100 bytes of memory for each key.

    Parameters:
        select: queries all keys
    """

    def __init__(self, select: Callable[[], frozenset[bytes]]) -> None:
        self._select = select
        self._keys: frozenset[bytes] = frozenset()
        self._due_at = 0.0
        self._failed_until = 0.0
        self._mutex = threading.Lock()

    def has(self, key: bytes, deadline: float) -> bool:
        """Return whether a key exists; one that was added moments ago may be missing.

        ``deadline`` is on the monotonic clock. Raises DatabaseError, at the deadline at the latest.
        """
        now = time.monotonic()
        if now >= self._due_at:
            # One thread reads the list; the others wait for it until their own deadlines.
            if not self._mutex.acquire(timeout=max(deadline - now, 0)):
                raise DatabaseError("The list of keys has not been read in time.")
            try:
                self._refresh(time.monotonic(), deadline)
            finally:
                self._mutex.release()
        return key in self._keys

    def _refresh(self, now: float, deadline: float) -> None:
        if now < self._due_at:
            return
        if now < self._failed_until:
            raise DatabaseError("The list of keys could not be read a moment ago.")
        try:
            self._keys = run_with_deadline(self._select, deadline - now)
        except Exception:
            # Whatever went wrong, the threads that wait for the mutex would only repeat it.
            self._failed_until = time.monotonic() + _RETRY_S
            raise
        done_at = time.monotonic()
        self._due_at = done_at + max(_MIN_AGE_S, _AGE_PER_READ_TIME * (done_at - now))
