"""The digests of all usable keys: what tells a made-up key without a look-up for each."""

import threading
import time

from sqlalchemy import Engine, select

from vigilry_ingest.observability.metrics import key_queries_by
from vigilry_ingest.storage.deadlines import run_with_deadline
from vigilry_ingest.storage.engine import DatabaseError, session_on
from vigilry_ingest.storage.models import ApiKey

# The list is read no more often than this, nor for more than a twentieth of the time.
_SHORTEST_S = 0.5
_SHARE = 20
_RETRY_S = 1.0


class KeyDigests:
    """The digests of the keys that are not revoked, read when they are needed and half a second old.

    About 100 bytes a key; 10,000 keys are a megabyte, and are read in some 20 ms.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._digests: frozenset[bytes] = frozenset()
        self._due_at = 0.0
        self._failed_until = 0.0
        self._mutex = threading.Lock()

    def has(self, digest: bytes, deadline: float) -> bool:
        """Tell whether a key is there; one that was made within the last moment may be missing.

        Raises DatabaseError, and on the monotonic clock no later than at the deadline.
        """
        now = time.monotonic()
        if now >= self._due_at:
            # One reads, and the others wait for it no longer than for the database itself.
            if not self._mutex.acquire(timeout=max(deadline - now, 0)):
                raise DatabaseError("The list of keys is not there yet.")
            try:
                self._refresh(time.monotonic(), deadline)
            finally:
                self._mutex.release()
        return digest in self._digests

    def _refresh(self, now: float, deadline: float) -> None:
        if now < self._due_at:
            return
        if now < self._failed_until:
            raise DatabaseError("The database did not answer a moment ago.")
        key_queries_by("list").inc()
        try:
            self._digests = run_with_deadline(self._select, deadline - now)
        except DatabaseError:
            self._failed_until = time.monotonic() + _RETRY_S
            raise
        done_at = time.monotonic()
        self._due_at = done_at + max(_SHORTEST_S, _SHARE * (done_at - now))

    def _select(self) -> frozenset[bytes]:
        with session_on(self._engine) as session:
            return frozenset(session.scalars(select(ApiKey.digest).where(ApiKey.revoked_at.is_(None))))
