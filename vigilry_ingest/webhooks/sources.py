"""Sources of webhooks: add, list, rotate, disable and remove."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from vigilry_ingest.api_keys.projects import find_project
from vigilry_ingest.api_keys.registry import ArchivedProject
from vigilry_ingest.domain.ids import new_id
from vigilry_ingest.storage.audit_log import Change, append, changes_on, recorded, state_of
from vigilry_ingest.storage.engine import session_on
from vigilry_ingest.storage.models import Project, Source, SourceSecret
from vigilry_ingest.webhooks.encryption import SecretBox
from vigilry_ingest.webhooks.provider import Provider
from vigilry_ingest.webhooks.providers import provider_of


class UnknownSource(LookupError):
    """No source has this id."""


class InvalidSecret(ValueError):
    """A secret does not have the form that the provider gives it; the message does not contain it."""


class SourceSettings(NamedTuple):
    """What a source is, apart from its secrets.

    Parameters:
        project: the name or id of its project
        environment: the environment of its events
        provider: the name of its provider
        name: the ``source`` of its events, by default the provider's name
        options: what it says about its provider
        severities: severities by event, which override the provider's rule
    """

    project: str
    environment: str
    provider: str
    name: str | None = None
    options: Mapping[str, Any] = {}
    severities: Mapping[str, str] = {}


class SourceRegistry:
    """The sources in a database."""

    def __init__(self, engine: Engine, box: SecretBox) -> None:
        self._engine = engine
        self._box = box

    def add(self, settings: SourceSettings, secret: str) -> Source:
        """Add a source and return it.

        Raises ValueError for an unknown provider or options that do not fit, InvalidSecret, UnknownProject,
        ArchivedProject, NoSecretsKey and DatabaseError.
        """
        _check_secret(provider_of(settings.provider, settings.options), secret)
        now = datetime.now(UTC)
        with changes_on(self._engine) as session:
            project = find_project(session, settings.project)
            if project.archived_at is not None:
                raise ArchivedProject(project.name)
            source = Source(
                id=new_id("src"),
                project=project,
                environment=settings.environment,
                provider=settings.provider,
                name=settings.name,
                options=dict(settings.options),
                severities=dict(settings.severities),
                created_at=now,
            )
            source.secrets = [self._secret(source.id, secret, now)]
            session.add(source)
            session.flush()
            append(session, Change("source.add", source.id, project.id, after=state_of(source)))
            return source

    def sources(self) -> list[Source]:
        """Return all sources, ordered by project and age.

        Raises DatabaseError.
        """
        query = select(Source).join(Source.project).order_by(Project.name, Source.created_at, Source.id)
        with session_on(self._engine) as session:
            return list(session.scalars(query))

    def get(self, source_id: str) -> Source:
        """Return a source.

        Raises UnknownSource, DatabaseError.
        """
        with session_on(self._engine) as session:
            return _find(session, source_id)

    def secret_of(self, source: Source) -> str:
        """Return the newest secret of a source.

        Raises CannotDecrypt.
        """
        return self._box.decrypt(source.secrets[0].ciphertext, source.id)

    def rotate(self, source_id: str, secret: str, *, grace: timedelta) -> Source:
        """Add a new secret; the others remain valid for ``grace``, or less if they were to expire earlier.

        Raises UnknownSource, InvalidSecret, NoSecretsKey and DatabaseError.
        """
        now = datetime.now(UTC)
        with self._changing(source_id, "source.rotate") as source:
            _check_secret(provider_of(source.provider, source.options), secret)
            for old in source.secrets:
                old.expires_at = min(old.expires_at or now + grace, now + grace)
            source.secrets = [
                self._secret(source.id, secret, now),
                *(old for old in source.secrets if old.is_valid(now)),
            ]
        return source

    def disable(self, source_id: str, *, is_disabled: bool) -> Source:
        """Disable a source, so that its deliveries are refused, or enable it again.

        Raises UnknownSource, DatabaseError.
        """
        action = "source.disable" if is_disabled else "source.enable"
        with self._changing(source_id, action) as source:
            source.disabled_at = (source.disabled_at or datetime.now(UTC)) if is_disabled else None
        return source

    def remove(self, source_id: str) -> Source:
        """Remove a source and its secrets; its events are kept.

        Raises UnknownSource, DatabaseError.
        """
        with changes_on(self._engine) as session:
            source = _find(session, source_id)
            append(session, Change("source.remove", source.id, source.project_id, before=state_of(source)))
            session.delete(source)
            return source

    def reencrypt(self) -> Iterator[bool]:
        """Encrypt all secrets with the newest key; yield for each secret whether it had another.

        Raises NoSecretsKey, CannotDecrypt and DatabaseError; what was yielded before stays done.
        """
        with session_on(self._engine) as session:
            ids = list(session.scalars(select(SourceSecret.id).order_by(SourceSecret.id)))
        for secret_id in ids:
            with changes_on(self._engine) as session:
                row = session.get(SourceSecret, secret_id, with_for_update=True)
                if row is None:
                    continue
                is_old = not self._box.is_newest(row.ciphertext)
                if is_old:
                    secret = self._box.decrypt(row.ciphertext, row.source_id)
                    row.ciphertext = self._box.encrypt(secret, row.source_id)
                    project_id = _find(session, row.source_id).project_id
                    append(session, Change("secret.reencrypt", row.id, project_id))
            yield is_old

    def _secret(self, source_id: str, secret: str, now: datetime) -> SourceSecret:
        ciphertext = self._box.encrypt(secret, source_id)
        return SourceSecret(id=new_id("sec"), source_id=source_id, ciphertext=ciphertext, created_at=now)

    @contextmanager
    def _changing(self, source_id: str, action: str) -> Iterator[Source]:
        with changes_on(self._engine) as session:
            source = _find(session, source_id)
            with recorded(session, action, source):
                yield source


def _check_secret(provider: Provider, secret: str) -> None:
    try:
        provider.scheme.check_secret(secret)
    except ValueError as error:
        raise InvalidSecret(str(error)) from None


def _find(session: Session, source_id: str) -> Source:
    source = session.get(Source, source_id)
    if source is None:
        raise UnknownSource(source_id)
    return source
