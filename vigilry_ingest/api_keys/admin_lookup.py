"""Look-up of admin keys, with a limit for the attempts that fail."""

import hmac
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from math import ceil
from typing import NamedTuple

from sqlalchemy import Engine

from vigilry_ingest.api_keys.admin_keys import admin_scopes_of, is_usable, list_admin_keys
from vigilry_ingest.api_keys.format import digest_of, is_well_formed_admin_key
from vigilry_ingest.api_keys.token_bucket import TokenBucket
from vigilry_ingest.storage.models import AdminKey

# Failed attempts per second, and at once. A key cannot be guessed; this bounds what guessing costs.
_FAILURES_PER_S = 1.0
_FAILURES_AT_ONCE = 20
# Beyond that, the keys that were read last decide for this long.
_SNAPSHOT_S = 1.0


class Administrator(NamedTuple):
    """Who presented a key that is accepted."""

    key_id: str
    name: str
    scopes: frozenset[str]


class RefusedKey(Exception):
    """A key is not accepted, because it is unknown, expired or revoked; an unknown one has no ``key_id``."""

    def __init__(self, reason: str, key_id: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.key_id = key_id


class TooManyFailedAttempts(Exception):
    """Too many keys were refused lately; ``retry_after_s`` is when another one is looked at."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(wait_s)
        self.retry_after_s = max(ceil(wait_s), 1)


class AdminKeyLookup:
    """Finds who presents an admin key; safe to share between threads.

    A valid key is accepted whatever the others do: made-up keys cost one query per second at most.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._failures = TokenBucket(rate=_FAILURES_PER_S, burst=_FAILURES_AT_ONCE)
        self._mutex = threading.Lock()
        self._keys: Sequence[AdminKey] = ()
        self._read_at = float("-inf")

    def find(self, presented: str) -> Administrator:
        """Return the administrator who has a key.

        Raises RefusedKey, DatabaseError.
        """
        if not is_well_formed_admin_key(presented):
            raise RefusedKey("unknown")
        digest, now = digest_of(presented), datetime.now(UTC)
        # All are compared, so that the time does not depend on which one it is.
        found = [each for each in self._all() if hmac.compare_digest(each.digest, digest)]
        row = found[0] if found else None
        if row is None:
            raise RefusedKey("unknown")
        if not is_usable(row, now):
            raise RefusedKey("expired" if row.revoked_at is None else "revoked", row.id)
        return Administrator(row.id, row.name, frozenset(admin_scopes_of(row)))

    def note_failure(self) -> None:
        """Count a failed attempt.

        Raises TooManyFailedAttempts.
        """
        with self._mutex:
            now = time.monotonic()
            if not self._failures.take(now):
                raise TooManyFailedAttempts(self._failures.wait_s(now))

    def _all(self) -> Sequence[AdminKey]:
        """Return all keys, read again unless attempts are failing in quick succession."""
        now = time.monotonic()
        with self._mutex:
            is_attacked = self._failures.wait_s(now) > 0
            if not is_attacked or now - self._read_at >= _SNAPSHOT_S:
                self._keys, self._read_at = list_admin_keys(self._engine), now
            return self._keys
