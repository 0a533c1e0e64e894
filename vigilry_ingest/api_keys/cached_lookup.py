"""Cached look-ups of what a request presents, so that few requests query the database."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from vigilry_ingest.api_keys.known_keys import KnownKeys
from vigilry_ingest.api_keys.token_bucket import TokenBucket
from vigilry_ingest.storage.deadlines import run_with_deadline
from vigilry_ingest.storage.engine import DatabaseError

_log = logging.getLogger(__name__)

Value = TypeVar("Value")

# A cache of this size takes a few megabytes. The oldest entries are evicted, so made-up keys cannot fill it.
_MAX_CACHED = 10_000
_RETRY_S = 1.0
# Look-ups of unknown keys within this limit query the key; beyond it the list of keys is consulted first.
_MISSES_PER_S = 1.0
_MISS_BURST = 50
# Maximum time that a request waits for the database.
_TIMEOUT_S = 1.0
# While one request revalidates an entry, others use the stale one for this share of the TTL, and no longer
# than a query may take.
_STALE_SHARE = 0.5


class KeyStoreUnavailable(Exception):
    """The key store is down, and this key is not cached."""


class _Cached(Generic[Value]):
    """The result of a look-up, with the times of RFC 5861; ``value`` is None for an unknown key.

    ``down_until``: until when the key store is taken to be down after it failed to answer.
    """

    __slots__ = (
        "down_until",
        "revalidate_at",
        "stale_if_error_until",
        "stale_while_revalidate_until",
        "value",
    )

    def __init__(
        self,
        value: Value | None,
        *,
        revalidate_at: float,
        stale_while_revalidate_until: float,
        stale_if_error_until: float,
    ) -> None:
        self.value = value
        self.revalidate_at = revalidate_at
        self.stale_while_revalidate_until = stale_while_revalidate_until
        self.stale_if_error_until = stale_if_error_until
        self.down_until = 0.0


class CachedLookup(Generic[Value]):
    """Looks up values by what requests present; safe to share between threads or greenlets.

    A result is cached for ``ttl_s`` seconds, after which a change takes effect. While the database is down, a
    known value is used for another ``stale_s`` seconds.

    Parameters:
        key_of: returns the key of what is presented, under which its value is cached
        is_well_formed: returns whether what is presented may have a value; otherwise nothing is queried
        select: queries the value of what is presented
        select_keys: queries all keys
        count_lookup: counts a look-up that was not cached, by its result
        count_query: counts a query, for one ``key`` or for the ``list`` of all
    """

    def __init__(
        self,
        *,
        key_of: Callable[[str], bytes],
        is_well_formed: Callable[[str], bool],
        select: Callable[[str], Value | None],
        select_keys: Callable[[], frozenset[bytes]],
        ttl_s: float,
        stale_s: float,
        count_lookup: Callable[[str], None],
        count_query: Callable[[str], None],
    ) -> None:
        self._key_of = key_of
        self._is_well_formed = is_well_formed
        self._select = select
        self._ttl_s = ttl_s
        self._stale_s = stale_s
        self._count_lookup = count_lookup
        self._count_query = count_query
        self._cache: dict[bytes, _Cached[Value]] = {}
        self._mutex = threading.Lock()
        self._misses = TokenBucket(rate=_MISSES_PER_S, burst=_MISS_BURST)

        def select_and_count() -> frozenset[bytes]:
            count_query("list")
            return select_keys()

        self._known = KnownKeys(select_and_count)

    def find(self, presented: str) -> Value | None:
        """Return a value, or None if it is unknown or what is presented is malformed.

        Raises KeyStoreUnavailable.
        """
        key = self._key_of(presented)
        now = time.monotonic()
        cached = self._cache.get(key)
        if cached is not None and now < cached.revalidate_at and now < cached.stale_if_error_until:
            return cached.value
        if cached is None and not self._is_well_formed(presented):
            self._count_lookup("malformed")
            return None
        return self._revalidate(presented, key, cached, now)

    def _revalidate(
        self, presented: str, key: bytes, cached: _Cached[Value] | None, now: float
    ) -> Value | None:
        if cached is not None:
            # This request queries the key store. Until it has the result the others use the cached entry, but
            # not one that is long out of date: the key may have been revoked since.
            cached.revalidate_at = (
                now + _RETRY_S if now < cached.down_until else cached.stale_while_revalidate_until
            )
        deadline = now + _TIMEOUT_S
        was_miss = cached is None or cached.value is None
        try:
            if was_miss and self._is_unlisted(key, now, deadline):
                self._count_lookup("unlisted")
                return None
            self._count_query("key")
            value = run_with_deadline(lambda: self._select(presented), deadline - time.monotonic())
        except DatabaseError as error:
            if cached is not None and cached.value is not None and now < cached.stale_if_error_until:
                cached.revalidate_at = time.monotonic() + _RETRY_S
                cached.down_until = cached.revalidate_at + _RETRY_S
                self._count_lookup("stale")
                _log.warning("key store is down, stale key accepted", extra={"reason": str(error)})
                return cached.value
            self._count_lookup("unavailable")
            raise KeyStoreUnavailable(str(error)) from error
        self._count_lookup("unknown" if value is None else "found")
        if was_miss and value is not None:
            with self._mutex:
                self._misses.give_back()
        self._store(key, value, now)
        return value

    def _is_unlisted(self, key: bytes, now: float, deadline: float) -> bool:
        """Return whether the key is unknown according to the list of keys, used once misses are frequent.

        Made-up keys then cost the key store next to nothing, while a new key is still accepted half a second
        after it was added.
        """
        with self._mutex:
            may_query = self._misses.take(now)
        return not may_query and not self._known.has(key, deadline)

    def _store(self, key: bytes, value: Value | None, now: float) -> None:
        fresh_until = now + self._ttl_s
        stale_s = 0.0 if value is None else self._stale_s
        fresh = _Cached(
            value,
            revalidate_at=fresh_until,
            stale_while_revalidate_until=fresh_until + min(self._ttl_s * _STALE_SHARE, _TIMEOUT_S),
            stale_if_error_until=fresh_until + stale_s,
        )
        with self._mutex:
            # Moved to the end, so that the first entry is always the one queried least recently.
            self._cache.pop(key, None)
            self._cache[key] = fresh
            if len(self._cache) > _MAX_CACHED:
                del self._cache[next(iter(self._cache))]
