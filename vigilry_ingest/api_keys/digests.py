"""Set of known key digests; rejects unknown keys without a query for each."""

import threading
import time

from sqlalchemy import Engine, select

from vigilry_ingest.observability.metrics import key_queries_by
from vigilry_ingest.storage.deadlines import run_with_deadline
from vigilry_ingest.storage.engine import DatabaseError, session_on
from vigilry_ingest.storage.models import ApiKey

# Reading the list takes at most one twentieth of the time, and no two reads begin within half a second.
_MIN_AGE_S = 0.5
_AGE_PER_READ_TIME = 20
_RETRY_S = 1.0


class KeyDigests:
    """The digests of all keys that are not revoked, read on demand and cached for at least half a second.

    Takes about 100 bytes of memory for each key.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._digests: frozenset[bytes] = frozenset()
        self._due_at = 0.0
        self._failed_until = 0.0
        self._mutex = threading.Lock()

    def has(self, digest: bytes, deadline: float) -> bool:
        """Return whether a key with this digest exists; a key minted moments ago may be missing.

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
        return digest in self._digests

    def _refresh(self, now: float, deadline: float) -> None:
        if now < self._due_at:
            return
        if now < self._failed_until:
            raise DatabaseError("The list of keys could not be read a moment ago.")
        key_queries_by("list").inc()
        try:
            self._digests = run_with_deadline(self._select, deadline - now)
        except Exception:
            # Whatever went wrong, the threads that wait for the mutex would only repeat it.
            self._failed_until = time.monotonic() + _RETRY_S
            raise
        done_at = time.monotonic()
        self._due_at = done_at + max(_MIN_AGE_S, _AGE_PER_READ_TIME * (done_at - now))

    def _select(self) -> frozenset[bytes]:
        with session_on(self._engine) as session:
            return frozenset(session.scalars(select(ApiKey.digest).where(ApiKey.revoked_at.is_(None))))
