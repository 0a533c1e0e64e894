"""Sources of webhooks: add, list, rotate, disable and remove."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from vigilry_ingest.api_keys.project_lookup import find_project
from vigilry_ingest.api_keys.registry import ArchivedProject
from vigilry_ingest.domain.ids import new_id
from vigilry_ingest.storage.audit_log import Change, append, changes_on, recorded, state_of
from vigilry_ingest.storage.engine import session_on
from vigilry_ingest.storage.models import Project, Source, SourceSecret
from vigilry_ingest.webhooks.encryption import SecretBox
from vigilry_ingest.webhooks.provider import Provider
from vigilry_ingest.webhooks.providers import provider_of
from vigilry_ingest.webhooks.source_settings import (
    AmbiguousSource,
    InvalidSecret,
    MissingSecret,
    OtherProvider,
    SourceSettings,
    UnknownSource,
)


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
        with changes_on(self._engine) as session:
            return self._add(session, find_project(session, settings.project), settings, secret)

    def put(
        self,
        settings: SourceSettings,
        secret: str | None,
        *,
        first_secret: str | None,
        is_disabled: bool | None,
        grace: timedelta,
    ) -> tuple[Source, bool]:
        """Make the source of a project and name what ``settings`` say; return it, and whether it is new.

        ``secret`` and ``is_disabled`` stay as they are if they are None; a new source has ``first_secret``.
        Another secret replaces the current one after ``grace``. What is as it should be is neither written
        nor recorded. Raises like ``add``; MissingSecret for a new source without one, OtherProvider,
        AmbiguousSource.
        """
        if first_secret is not None:
            _check_secret(provider_of(settings.provider, settings.options), first_secret)
        with changes_on(self._engine) as session:
            project = find_project(session, settings.project)
            source = _named(session, project, settings.name or settings.provider)
            if is_new := source is None:
                if first_secret is None:
                    raise MissingSecret
                source = self._add(session, project, settings, first_secret)
            else:
                self._change(session, source, settings)
                if secret is not None and secret != self.secret_of(source):
                    with recorded(session, "source.rotate", source):
                        self._add_secret(source, secret, grace)
            if is_disabled is not None:
                _set_disabled(session, source, is_disabled=is_disabled, only_if_changed=True)
            return source, is_new

    def _add(self, session: Session, project: Project, settings: SourceSettings, secret: str) -> Source:
        if project.archived_at is not None:
            raise ArchivedProject(project.name)
        now = datetime.now(UTC)
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

    @staticmethod
    def _change(session: Session, source: Source, settings: SourceSettings) -> None:
        if source.provider != settings.provider:
            raise OtherProvider(source.id, source.provider)
        with recorded(session, "source.change", source, only_if_changed=True):
            source.environment = settings.environment
            source.options = dict(settings.options)
            source.severities = dict(settings.severities)

    def sources(
        self, *, after: str = "", limit: int | None = None, project_id: str | None = None
    ) -> list[Source]:
        """Return sources, ordered by their ids and therefore by age, from one after an id.

        Raises DatabaseError.
        """
        query = select(Source).where(Source.id > after).order_by(Source.id).limit(limit)
        if project_id is not None:
            query = query.where(Source.project_id == project_id)
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
        with changes_on(self._engine) as session:
            source = _find(session, source_id)
            _check_secret(provider_of(source.provider, source.options), secret)
            with recorded(session, "source.rotate", source):
                self._add_secret(source, secret, grace)
        return source

    def _add_secret(self, source: Source, secret: str, grace: timedelta) -> None:
        now = datetime.now(UTC)
        for old in source.secrets:
            old.expires_at = min(old.expires_at or now + grace, now + grace)
        source.secrets = [
            self._secret(source.id, secret, now),
            *(old for old in source.secrets if old.is_valid(now)),
        ]

    def disable(self, source_id: str, *, is_disabled: bool) -> Source:
        """Disable a source, so that its deliveries are refused, or enable it again.

        Raises UnknownSource, DatabaseError.
        """
        with changes_on(self._engine) as session:
            source = _find(session, source_id)
            _set_disabled(session, source, is_disabled=is_disabled)
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


def _named(session: Session, project: Project, name: str) -> Source | None:
    query = select(Source).where(
        Source.project_id == project.id, func.coalesce(Source.name, Source.provider) == name
    )
    found = list(session.scalars(query.limit(2)))
    if len(found) > 1:
        raise AmbiguousSource(name)
    return found[0] if found else None


def _set_disabled(
    session: Session, source: Source, *, is_disabled: bool, only_if_changed: bool = False
) -> None:
    action = "source.disable" if is_disabled else "source.enable"
    with recorded(session, action, source, only_if_changed=only_if_changed):
        source.disabled_at = (source.disabled_at or datetime.now(UTC)) if is_disabled else None
