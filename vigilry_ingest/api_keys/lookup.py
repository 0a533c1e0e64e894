"""Look-up of the caller of a presented key."""

import hmac
import time
from typing import NamedTuple

from sqlalchemy import Engine, select

from vigilry_ingest.api_keys.cached_lookup import CachedLookup
from vigilry_ingest.api_keys.format import digest_of, hint_of, is_well_formed
from vigilry_ingest.api_keys.restrictions import origins_of, scopes_of
from vigilry_ingest.api_keys.usage import KeyUsage
from vigilry_ingest.domain.event import Quota
from vigilry_ingest.domain.scrubbing.scrubber import Scrubber, scrubber_of
from vigilry_ingest.observability.metrics import key_lookups_by, key_queries_by
from vigilry_ingest.storage.engine import session_on
from vigilry_ingest.storage.models import ApiKey, Project


class Restrictions(NamedTuple):
    """What a key may do: its scopes, and the origins whose pages may use it; no origins mean any sender."""

    scopes: frozenset[str]
    origins: frozenset[str]

    def allows_origin(self, origin: str) -> bool:
        """Return whether a page of an origin may use the key."""
        return origin in self.origins or "*" in self.origins


class Caller(NamedTuple):
    """The sender of a request according to its key; ``quota`` is None when there is no limit.

    ``restrictions`` is None for a key with all scopes and without origins; ``scrubber`` is None for a project
    whose events are published as they are.
    """

    project_id: str
    environment: str
    key_id: str
    key_hint: str
    expires_at: float | None
    quota: Quota | None
    restrictions: Restrictions | None = None
    scrubber: Scrubber | None = None


class KeyLookup:
    """Finds the caller of a key; safe to share between threads or greenlets.

    A revocation takes effect after ``ttl_s`` seconds. While the key store is down, a known caller is accepted
    for another ``stale_s`` seconds.
    """

    def __init__(self, engine: Engine, *, ttl_s: float, stale_s: float) -> None:
        self._engine = engine
        self._usage = KeyUsage(engine)
        # By digest, so that no memory dump holds a key.
        self._callers = CachedLookup[Caller](
            key_of=digest_of,
            is_well_formed=is_well_formed,
            select=self._select,
            select_keys=self._select_digests,
            ttl_s=ttl_s,
            stale_s=stale_s,
            count_lookup=lambda result: key_lookups_by(result).inc(),
            count_query=lambda query: key_queries_by(query).inc(),
        )

    def find(self, presented: str) -> Caller | None:
        """Return the caller of a key, or None if it is unknown, malformed, expired or revoked.

        Raises KeyStoreUnavailable.
        """
        caller = self._callers.find(presented)
        return None if caller is None or _has_expired(caller) else caller

    def _select(self, presented: str) -> Caller | None:
        digest = digest_of(presented)
        query = select(ApiKey).where(ApiKey.hint == hint_of(presented), ApiKey.revoked_at.is_(None))
        with session_on(self._engine) as session:
            for row in session.scalars(query):
                if hmac.compare_digest(row.digest, digest):
                    caller = _caller(row)
                    if caller is not None and not _has_expired(caller):
                        self._usage.note(row)
                    return caller
        return None

    def _select_digests(self) -> frozenset[bytes]:
        with session_on(self._engine) as session:
            return frozenset(session.scalars(select(ApiKey.digest).where(ApiKey.revoked_at.is_(None))))


def quota_of(project: Project) -> Quota | None:
    """Return a project's quota, or None if it has no limit."""
    limits = Quota(project.rate_per_second or 0, project.burst or 0, project.bytes_per_second or 0)
    return limits if any(limits) else None


def _has_expired(caller: Caller) -> bool:
    return caller.expires_at is not None and caller.expires_at <= time.time()


def _caller(row: ApiKey) -> Caller | None:
    if row.project.archived_at is not None:
        return None
    expires_at = None if row.expires_at is None else row.expires_at.timestamp()
    return Caller(
        row.project_id,
        row.environment,
        row.id,
        row.hint,
        expires_at,
        quota_of(row.project),
        _restrictions(row),
        scrubber_of(row.project.scrubbing),
    )


def _restrictions(row: ApiKey) -> Restrictions | None:
    if row.scopes is None and row.origins is None:
        return None
    return Restrictions(frozenset(scopes_of(row)), frozenset(origins_of(row)))
