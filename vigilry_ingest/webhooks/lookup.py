"""Look-up of the source of a delivery, by the same rules as that of an API key."""

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import Engine, select

from vigilry_ingest.api_keys.cached_lookup import CachedLookup, KeyStoreUnavailable
from vigilry_ingest.api_keys.lookup import Caller, quota_of
from vigilry_ingest.domain.ids import is_id
from vigilry_ingest.domain.scrubbing.scrubber import scrubber_of
from vigilry_ingest.observability.metrics import source_lookups_by, source_queries_by
from vigilry_ingest.storage.engine import session_on
from vigilry_ingest.storage.models import Source
from vigilry_ingest.webhooks.encryption import CannotDecrypt, SecretBox
from vigilry_ingest.webhooks.provider import Provider
from vigilry_ingest.webhooks.providers import provider_of

_log = logging.getLogger(__name__)


class _Secret(NamedTuple):
    text: str
    expires_at: float | None


class KnownSource(NamedTuple):
    """A source that takes deliveries.

    Parameters:
        id: the id in its URL
        caller: whose events its deliveries are
        provider: how they are signed, and what they say
        name: the ``source`` of its events
        severities: severities by event, which override the provider's rule
        secrets: the secrets of the last look-up; ``live_secrets`` are those that have not expired
        problem: why its secrets cannot be used, or None
    """

    id: str
    caller: Caller
    provider: Provider
    name: str
    severities: Mapping[str, str]
    secrets: tuple[_Secret, ...]
    problem: str | None = None

    def live_secrets(self, now: float) -> Sequence[str]:
        """Return the secrets that are valid at a time."""
        return [each.text for each in self.secrets if each.expires_at is None or each.expires_at > now]


class SourceLookup:
    """Finds the source of a URL; safe to share between threads or greenlets.

    A change takes effect after ``ttl_s`` seconds. While the database is down, a known source is accepted for
    another ``stale_s`` seconds.
    """

    def __init__(self, engine: Engine, box: SecretBox, *, ttl_s: float, stale_s: float) -> None:
        self._engine = engine
        self._box = box
        self._sources = CachedLookup[KnownSource](
            key_of=lambda source_id: source_id.encode("utf-8", "surrogatepass"),
            is_well_formed=lambda source_id: is_id(source_id, "src"),
            select=self._select,
            select_keys=self._select_ids,
            ttl_s=ttl_s,
            stale_s=stale_s,
            count_lookup=lambda result: source_lookups_by(result).inc(),
            count_query=lambda query: source_queries_by(query).inc(),
        )

    def find(self, source_id: str) -> KnownSource | None:
        """Return a source, or None if it is unknown, malformed or disabled, or its project archived.

        Raises KeyStoreUnavailable, also for a source whose secrets cannot be decrypted.
        """
        source = self._sources.find(source_id)
        if source is not None and source.problem is not None:
            raise KeyStoreUnavailable(source.problem)
        return source

    def _select(self, source_id: str) -> KnownSource | None:
        with session_on(self._engine) as session:
            row = session.get(Source, source_id)
            if row is None or row.disabled_at is not None or row.project.archived_at is not None:
                return None
            return self._known(row)

    def _known(self, row: Source) -> KnownSource:
        secrets: list[_Secret] = []
        problem = None
        now = datetime.now(UTC)
        for secret in filter(lambda secret: secret.is_valid(now), row.secrets):
            expires_at = None if secret.expires_at is None else secret.expires_at.timestamp()
            try:
                secrets.append(_Secret(self._box.decrypt(secret.ciphertext, row.id), expires_at))
            except CannotDecrypt as error:
                problem = f"{row.id}: {error}"
                _log.warning("secret of a source cannot be used", extra={"reason": problem})
        return KnownSource(
            row.id,
            _caller(row),
            provider_of(row.provider, row.options),
            row.name or row.provider,
            row.severities,
            tuple(secrets),
            None if secrets else problem,
        )

    def _select_ids(self) -> frozenset[bytes]:
        with session_on(self._engine) as session:
            ids = session.scalars(select(Source.id).where(Source.disabled_at.is_(None)))
            return frozenset(each.encode() for each in ids)


def _caller(row: Source) -> Caller:
    quota, scrubber = quota_of(row.project), scrubber_of(row.project.scrubbing)
    return Caller(row.project_id, row.environment, row.id, row.id, None, quota, scrubber=scrubber)
