"""API keys in the database."""

from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Engine

from vigilry_ingest.administration.errors import translated_failures
from vigilry_ingest.administration.protocols import KeySettings
from vigilry_ingest.administration.records import KeyRecord, MintedKey, Page, RotatedKey
from vigilry_ingest.api_keys.declared_keys import put_key
from vigilry_ingest.api_keys.projects import project_id_of
from vigilry_ingest.api_keys.registry import Minted, list_keys, mint, revoke, rotate
from vigilry_ingest.api_keys.restrictions import origins_of, scopes_of
from vigilry_ingest.config.settings import Config
from vigilry_ingest.storage.models import ApiKey


class DatabaseKeys:
    """The API keys in a database."""

    def __init__(self, engine: Engine, config: Config) -> None:
        self._engine = engine
        self._config = config

    def page(self, after: str, limit: int, project: str | None = None) -> Page[KeyRecord]:
        """Return a part of the keys, or of those of a project."""
        with translated_failures():
            project_id = None if project is None else project_id_of(self._engine, project)
        rows = list_keys(self._engine, after=after, limit=limit + 1, project_id=project_id)
        items = [key_record(row) for row in rows[:limit]]
        return Page(items=items, next=items[-1].key_id if len(rows) > limit else None)

    def mint(self, settings: KeySettings) -> MintedKey:
        """Make a key, and its project if that does not exist."""
        lifetime = settings.lifetime
        with translated_failures():
            minted = mint(
                self._engine,
                settings.project,
                settings.environment,
                settings.name,
                expires_at=None if lifetime is None else datetime.now(UTC) + lifetime,
                scopes=settings.scopes,
                origins=settings.origins,
            )
        return MintedKey(**self._members(minted))

    def put(self, settings: KeySettings) -> MintedKey | KeyRecord:
        """Make a key, unless the project has a live one of its name, which is returned instead."""
        lifetime = settings.lifetime
        with translated_failures():
            done = put_key(
                self._engine,
                settings.project,
                settings.name or "",
                settings.environment,
                expires_at=None if lifetime is None else datetime.now(UTC) + lifetime,
                scopes=settings.scopes,
                origins=settings.origins,
            )
        return key_record(done) if isinstance(done, ApiKey) else MintedKey(**self._members(done))

    def rotate(self, key_id: str, *, grace: timedelta, lifetime: timedelta | None) -> RotatedKey:
        """Make the successor of a key, which expires after ``grace``."""
        with translated_failures():
            rotated = rotate(self._engine, key_id, grace=grace, lifetime=lifetime)
        return RotatedKey(
            **self._members(rotated.successor),
            old_key_id=rotated.old_key_id,
            old_expires_at=rotated.old_expires_at,
            younger_key_id=rotated.younger_key_id,
        )

    def revoke(self, key_id: str) -> KeyRecord:
        """Revoke a key."""
        with translated_failures():
            return key_record(revoke(self._engine, key_id))

    def _members(self, minted: Minted) -> dict[str, Any]:
        dsn = dsn_of(self._config.public_url, self._config.bind, minted.api_key)
        lists = {"scopes": list(minted.scopes), "origins": list(minted.origins)}
        return minted._asdict() | lists | {"dsn": dsn}


def dsn_of(public_url: str, bind: str, api_key: str) -> str:
    """Return the DSN of a key for Sentry's SDKs; they require a project id, which the service ignores."""
    origin = public_url or f"http://{'localhost' if bind.startswith('unix:') else bind}"
    scheme, _, host = origin.partition("://")
    return f"{scheme}://{api_key}@{host}/1"


def key_record(row: ApiKey) -> KeyRecord:
    """Return the record of a key."""
    return KeyRecord(
        key_id=row.id,
        hint=row.hint,
        project_id=row.project_id,
        project=row.project.name,
        environment=row.environment,
        name=row.name,
        scopes=scopes_of(row),
        origins=origins_of(row),
        state=_state(row),
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
    )


def _state(row: ApiKey) -> Literal["live", "expired", "revoked", "archived"]:
    if row.revoked_at:
        return "revoked"
    if row.expires_at and row.expires_at <= datetime.now(UTC):
        return "expired"
    return "archived" if row.project.archived_at else "live"
