"""From a presented key to its caller, with a short memory, so that a request seldom needs the database."""

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

# A memory of this many keys is a few megabytes; the oldest give way, so made-up keys cannot fill it.
_MAX_REMEMBERED = 10_000
_RETRY_S = 1.0
# So many look-ups may be in vain; then the list of all keys is read before another.
_MISSES_PER_S = 1.0
_MISS_BURST = 50
# The longest that a request waits for the key store.
_ANSWER_S = 1.0
# While one request asks, the others go on with an answer that is older than its time by this share of it, and
# by no more than asking can take.
_OVERLAP = 0.5


class Caller(NamedTuple):
    """Who a request comes from, as its key says; ``quota`` is None where there is no limit."""

    project_id: str
    environment: str
    key_id: str
    key_hint: str
    expires_at: float | None
    quota: Quota | None


class KeyStoreUnavailable(Exception):
    """The key store is down, and this key is not known from before."""


class _Known:
    """What the key store said of a key, from when it is to be asked again, and until when it is used so long.

    ``down_until``: when it did not answer, for how long that is remembered.
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


_UNLISTED = _Known(None, revalidate_at=0.0, stale_while_revalidate_until=0.0, stale_if_error_until=0.0)


class KeyLookup:
    """Finds the caller of a key; safe to share between threads or greenlets.

    An answer is trusted for ``ttl_s`` seconds, so a revocation holds after that; while the key store is
    down, a caller once found is trusted for ``stale_s`` seconds more.
    """

    def __init__(self, engine: Engine, *, ttl_s: float, stale_s: float) -> None:
        self._engine = engine
        self._ttl_s = ttl_s
        self._stale_s = stale_s
        self._known: dict[bytes, _Known] = {}
        self._mutex = threading.Lock()
        self._token_bucket = TokenBucket(rate=_MISSES_PER_S, burst=_MISS_BURST)
        self._digests = KeyDigests(engine)
        self._usage = KeyUsage(engine)

    def find(self, presented: str) -> Caller | None:
        """Find the caller of a key, or None for one that is unknown, mistyped, expired or revoked.

        Raises KeyStoreUnavailable.
        """
        # Keys are remembered by their digest, so that no memory dump holds one.
        digest = digest_of(presented)
        now = time.monotonic()
        known = self._known.get(digest)
        if known is None or now >= known.revalidate_at or now >= known.stale_if_error_until:
            if known is None and not is_well_formed(presented):
                key_lookups_by("malformed").inc()
                return None
            known = self._revalidate(presented, digest, known, now)
        caller = known.caller
        return None if caller is None or _has_expired(caller) else caller

    def _revalidate(self, presented: str, digest: bytes, known: _Known | None, now: float) -> _Known:
        if known is not None:
            # One request asks; the others go on with what is known until it has its answer, but not with what
            # was known long ago: the key may have been revoked since.
            known.revalidate_at = (
                now + _RETRY_S if now < known.down_until else known.stale_while_revalidate_until
            )
        deadline = now + _ANSWER_S
        was_miss = known is None or known.caller is None
        try:
            if was_miss and self._is_unlisted(digest, now, deadline):
                key_lookups_by("unlisted").inc()
                return _UNLISTED
            key_queries_by("key").inc()
            caller = run_with_deadline(lambda: self._select(presented, digest), deadline - time.monotonic())
        except DatabaseError as error:
            if known is not None and known.caller is not None and now < known.stale_if_error_until:
                known.revalidate_at = time.monotonic() + _RETRY_S
                known.down_until = known.revalidate_at + _RETRY_S
                key_lookups_by("stale").inc()
                _log.warning("key store is down, a known key goes on", extra={"reason": str(error)})
                return known
            key_lookups_by("unavailable").inc()
            raise KeyStoreUnavailable(str(error)) from error
        key_lookups_by("unknown" if caller is None else "found").inc()
        if was_miss and caller is not None:
            with self._mutex:
                self._token_bucket.give_back()
        return self._remember(digest, caller, now)

    def _is_unlisted(self, digest: bytes, now: float, deadline: float) -> bool:
        """Tell, once many look-ups were in vain, from the list of all keys.

        So whoever makes keys up costs the key store next to nothing, and a real sender who comes for the
        first time meanwhile is let in, half a second after its key was minted.
        """
        with self._mutex:
            may_ask = self._token_bucket.take(now)
        return not may_ask and not self._digests.has(digest, deadline)

    def _remember(self, digest: bytes, caller: Caller | None, now: float) -> _Known:
        fresh_until = now + self._ttl_s
        stale_s = 0.0 if caller is None else self._stale_s
        fresh = _Known(
            caller,
            revalidate_at=fresh_until,
            stale_while_revalidate_until=fresh_until + min(self._ttl_s * _OVERLAP, _ANSWER_S),
            stale_if_error_until=fresh_until + stale_s,
        )
        with self._mutex:
            # Put last again, so that the first is always the one not asked for the longest.
            self._known.pop(digest, None)
            self._known[digest] = fresh
            if len(self._known) > _MAX_REMEMBERED:
                del self._known[next(iter(self._known))]
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
    quota = None
    if project.rate_per_second is not None and project.burst is not None:
        quota = Quota(project.rate_per_second, project.burst)
    expires_at = None if row.expires_at is None else row.expires_at.timestamp()
    return Caller(row.project_id, row.environment, row.id, row.hint, expires_at, quota)
