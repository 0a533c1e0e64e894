"""Sources of webhooks in the database."""

import secrets
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

from sqlalchemy import Engine

from vigilry_ingest.administration.errors import translated_failures
from vigilry_ingest.administration.records import Page, ReencryptedSecrets, SecretRecord, SourceRecord
from vigilry_ingest.api.schemas.faults import Fault, InvalidEvent
from vigilry_ingest.api_keys.projects import project_id_of
from vigilry_ingest.config.settings import Config
from vigilry_ingest.storage.models import Source
from vigilry_ingest.webhooks.encryption import SecretBox
from vigilry_ingest.webhooks.providers import provider_of
from vigilry_ingest.webhooks.source_settings import MissingSecret, SourceSettings
from vigilry_ingest.webhooks.sources import SourceRegistry

# In hexadecimal, which is valid base64 too, for sources whose ``key_encoding`` is that.
_SECRET_BYTES = 32


class PutSource(NamedTuple):
    """A source as it is after a PUT; ``secret`` is one that was made for it, to be shown once."""

    source: SourceRecord
    is_new: bool
    secret: str | None


class DatabaseSources:
    """The sources of webhooks in a database."""

    def __init__(self, engine: Engine, box: SecretBox, config: Config) -> None:
        self._engine = engine
        self._box = box
        self._registry = SourceRegistry(engine, box)
        self._config = config

    def page(self, after: str, limit: int, project: str | None = None) -> Page[SourceRecord]:
        """Return a part of the sources, or of those of a project."""
        with translated_failures():
            project_id = None if project is None else project_id_of(self._engine, project)
        rows = self._registry.sources(after=after, limit=limit + 1, project_id=project_id)
        items = [self._record(row) for row in rows[:limit]]
        return Page(items=items, next=items[-1].source_id if len(rows) > limit else None)

    def get(self, source_id: str) -> SourceRecord:
        """Return a source."""
        with translated_failures():
            return self._record(self._registry.get(source_id))

    def check_secrets_key(self) -> None:
        """Return if there is a key that encrypts secrets."""
        with translated_failures():
            self._box.require_key()

    def add(self, settings: SourceSettings, secret: str) -> SourceRecord:
        """Add a source."""
        with translated_failures():
            return self._record(self._registry.add(settings, secret))

    def put(
        self, settings: SourceSettings, secret: str | None, *, is_disabled: bool | None, grace: timedelta
    ) -> PutSource:
        """Add a source or change what differs; a new one without a secret gets one, if it can be chosen."""
        provider = provider_of(settings.provider, settings.options)
        # Before it is known whether it is needed: two requests at once make one source, with one secret.
        made = secrets.token_hex(_SECRET_BYTES) if secret is None and provider.secret_is_chosen else None
        with translated_failures():
            try:
                source, is_new = self._registry.put(
                    settings, secret, first_secret=made or secret, is_disabled=is_disabled, grace=grace
                )
            except MissingSecret as error:
                detail = f"This field is required: {provider.title} shows the secret."
                raise InvalidEvent([Fault("/secret", "required", detail)]) from error
        return PutSource(self._record(source), is_new, made if is_new else None)

    def rotate(self, source_id: str, secret: str, *, grace: timedelta) -> SourceRecord:
        """Replace the secret of a source, which is valid for ``grace``."""
        with translated_failures():
            return self._record(self._registry.rotate(source_id, secret, grace=grace))

    def disable(self, source_id: str, *, is_disabled: bool) -> SourceRecord:
        """Disable a source, or enable it again."""
        with translated_failures():
            return self._record(self._registry.disable(source_id, is_disabled=is_disabled))

    def remove(self, source_id: str) -> SourceRecord:
        """Remove a source."""
        with translated_failures():
            return self._record(self._registry.remove(source_id))

    def reencrypt(self) -> ReencryptedSecrets:
        """Encrypt all secrets with the newest key; what is done stays done if it fails."""
        with translated_failures():
            self._box.require_key()
            was_old = list(self._registry.reencrypt())
        return ReencryptedSecrets(secrets=len(was_old), encrypted_again=sum(was_old))

    def _record(self, source: Source) -> SourceRecord:
        now = datetime.now(UTC)
        return SourceRecord(
            source_id=source.id,
            url=source_url(self._config, source.id),
            provider=source.provider,
            project_id=source.project_id,
            project=source.project.name,
            environment=source.environment,
            name=source.name or source.provider,
            state=_state(source),
            options=source.options,
            severities=source.severities,
            secrets=[
                SecretRecord(expires_at=each.expires_at) for each in source.secrets if each.is_valid(now)
            ],
            created_at=source.created_at,
        )


def source_url(config: Config, source_id: str, origin: str | None = None) -> str:
    """Return the URL of a source: at the public origin, or else where the service listens."""
    local = "http://localhost" if config.bind.startswith("unix:") else f"http://{config.bind}"
    return f"{origin or config.public_url or local}/hooks/{source_id}"


def _state(source: Source) -> Literal["live", "disabled", "archived"]:
    if source.project.archived_at:
        return "archived"
    return "disabled" if source.disabled_at else "live"
