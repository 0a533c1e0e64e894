"""Look-up of the caller of a presented key, cached so that few requests query the database."""

import hmac
import logging
import threading
import time
from typing import NamedTuple

from sqlalchemy import Engine, select

from vigilry_ingest.api_keys.digests import KeyDigests
from vigilry_ingest.api_keys.format import digest_of, hint_of, is_well_formed
from vigilry_ingest.api_keys.token_bucket import TokenBucket
from vigilry_ingest.api_keys.usage import KeyUsage
from vigilry_ingest.domain.event import Quota
from vigilry_ingest.observability.metrics import key_lookups_by, key_queries_by
from vigilry_ingest.storage.deadlines import run_with_deadline
from vigilry_ingest.storage.engine import DatabaseError, session_on
from vigilry_ingest.storage.models import ApiKey

_log = logging.getLogger(__name__)

# A cache of this size takes a few megabytes. The oldest entries are evicted, so made-up keys cannot fill it.
_MAX_CACHED = 10_000
_RETRY_S = 1.0
# Look-ups of unknown keys within this limit query the key; beyond it the list of digests is consulted first.
_MISSES_PER_S = 1.0
_MISS_BURST = 50
# Maximum time that a request waits for the key store.
_TIMEOUT_S = 1.0
# While one request revalidates an entry, others use the stale one for this share of the TTL, and no longer
# than a query may take.
_STALE_SHARE = 0.5


class Caller(NamedTuple):
    """The sender of a request according to its key; ``quota`` is None when there is no limit."""

    project_id: str
    environment: str
    key_id: str
    key_hint: str
    expires_at: float | None
    quota: Quota | None


class KeyStoreUnavailable(Exception):
    """The key store is down, and this key is not cached."""


class _CachedKey:
    """The result of a look-up, with the times of RFC 5861; ``caller`` is None for an unknown key.

    ``down_until``: until when the key store is taken to be down after it failed to answer.
    """

    __slots__ = (
        "caller",
        "down_until",
        "revalidate_at",
        "stale_if_error_until",
        "stale_while_revalidate_until",
    )

    def __init__(
        self,
        caller: Caller | None,
        *,
        revalidate_at: float,
        stale_while_revalidate_until: float,
        stale_if_error_until: float,
    ) -> None:
        self.caller = caller
        self.revalidate_at = revalidate_at
        self.stale_while_revalidate_until = stale_while_revalidate_until
        self.stale_if_error_until = stale_if_error_until
        self.down_until = 0.0


_UNLISTED = _CachedKey(None, revalidate_at=0.0, stale_while_revalidate_until=0.0, stale_if_error_until=0.0)


class KeyLookup:
    """Finds the caller of a key; safe to share between threads or greenlets.

    A result is cached for ``ttl_s`` seconds, after which a revocation takes effect. While the key store is
    down, a known caller is accepted for another ``stale_s`` seconds.
    """

    def __init__(self, engine: Engine, *, ttl_s: float, stale_s: float) -> None:
        self._engine = engine
        self._ttl_s = ttl_s
        self._stale_s = stale_s
        # By digest, so that no memory dump holds a key.
        self._cache: dict[bytes, _CachedKey] = {}
        self._mutex = threading.Lock()
        self._misses = TokenBucket(rate=_MISSES_PER_S, burst=_MISS_BURST)
        self._digests = KeyDigests(engine)
        self._usage = KeyUsage(engine)

    def find(self, presented: str) -> Caller | None:
        """Return the caller of a key, or None if it is unknown, malformed, expired or revoked.

        Raises KeyStoreUnavailable.
        """
        digest = digest_of(presented)
        now = time.monotonic()
        cached = self._cache.get(digest)
        if cached is None or now >= cached.revalidate_at or now >= cached.stale_if_error_until:
            if cached is None and not is_well_formed(presented):
                key_lookups_by("malformed").inc()
                return None
            cached = self._revalidate(presented, digest, cached, now)
        caller = cached.caller
        return None if caller is None or _has_expired(caller) else caller

    def _revalidate(self, presented: str, digest: bytes, cached: _CachedKey | None, now: float) -> _CachedKey:
        if cached is not None:
            # This request queries the key store. Until it has the result the others use the cached entry, but
            # not one that is long out of date: the key may have been revoked since.
            cached.revalidate_at = (
                now + _RETRY_S if now < cached.down_until else cached.stale_while_revalidate_until
            )
        deadline = now + _TIMEOUT_S
        was_miss = cached is None or cached.caller is None
        try:
            if was_miss and self._is_unlisted(digest, now, deadline):
                key_lookups_by("unlisted").inc()
                return _UNLISTED
            key_queries_by("key").inc()
            caller = run_with_deadline(lambda: self._select(presented, digest), deadline - time.monotonic())
        except DatabaseError as error:
            if cached is not None and cached.caller is not None and now < cached.stale_if_error_until:
                cached.revalidate_at = time.monotonic() + _RETRY_S
                cached.down_until = cached.revalidate_at + _RETRY_S
                key_lookups_by("stale").inc()
                _log.warning("key store is down, stale key accepted", extra={"reason": str(error)})
                return cached
            key_lookups_by("unavailable").inc()
            raise KeyStoreUnavailable(str(error)) from error
        key_lookups_by("unknown" if caller is None else "found").inc()
        if was_miss and caller is not None:
            with self._mutex:
                self._misses.give_back()
        return self._store(digest, caller, now)

    def _is_unlisted(self, digest: bytes, now: float, deadline: float) -> bool:
        """Return whether the key is unknown according to the digest list, used once misses are frequent.

        Made-up keys then cost the key store next to nothing, while a new key is still accepted half a second
        after it was minted.
        """
        with self._mutex:
            may_query = self._misses.take(now)
        return not may_query and not self._digests.has(digest, deadline)

    def _store(self, digest: bytes, caller: Caller | None, now: float) -> _CachedKey:
        fresh_until = now + self._ttl_s
        stale_s = 0.0 if caller is None else self._stale_s
        fresh = _CachedKey(
            caller,
            revalidate_at=fresh_until,
            stale_while_revalidate_until=fresh_until + min(self._ttl_s * _STALE_SHARE, _TIMEOUT_S),
            stale_if_error_until=fresh_until + stale_s,
        )
        with self._mutex:
            # Moved to the end, so that the first entry is always the one queried least recently.
            self._cache.pop(digest, None)
            self._cache[digest] = fresh
            if len(self._cache) > _MAX_CACHED:
                del self._cache[next(iter(self._cache))]
        return fresh

    def _select(self, presented: str, digest: bytes) -> Caller | None:
        query = select(ApiKey).where(ApiKey.hint == hint_of(presented), ApiKey.revoked_at.is_(None))
        with session_on(self._engine) as session:
            for row in session.scalars(query):
                if hmac.compare_digest(row.digest, digest):
                    caller = _caller(row)
                    if caller is not None and not _has_expired(caller):
                        self._usage.note(row)
                    return caller
        return None


def _has_expired(caller: Caller) -> bool:
    return caller.expires_at is not None and caller.expires_at <= time.time()


def _caller(row: ApiKey) -> Caller | None:
    project = row.project
    if project.archived_at is not None:
        return None
    limits = Quota(project.rate_per_second or 0, project.burst or 0, project.bytes_per_second or 0)
    quota = limits if any(limits) else None
    expires_at = None if row.expires_at is None else row.expires_at.timestamp()
    return Caller(row.project_id, row.environment, row.id, row.hint, expires_at, quota)
