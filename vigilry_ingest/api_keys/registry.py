"""Minting, rotating, listing and revoking keys."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import ColumnElement, Engine, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from vigilry_ingest.api_keys.format import digest_of, hint_of, new_key
from vigilry_ingest.api_keys.restrictions import (
    SCOPES,
    origins_of,
    scopes_of,
    stored_origins,
    stored_scopes,
)
from vigilry_ingest.domain.ids import new_id
from vigilry_ingest.storage.audit_log import Change, append, changes_on, recorded, state_of
from vigilry_ingest.storage.engine import session_on
from vigilry_ingest.storage.models import ApiKey, Project


class Minted(NamedTuple):
    """A new key; the only time that the key itself is available."""

    api_key: str
    key_id: str
    project_id: str
    project: str
    environment: str
    expires_at: datetime | None = None
    scopes: tuple[str, ...] = SCOPES
    origins: tuple[str, ...] = ()


class Rotated(NamedTuple):
    """A key's successor, and when the key itself expires.

    ``younger_key_id`` is set when the key already had an expiry and a later key has the same project,
    environment and name: it may have been rotated before, which is not recorded.
    """

    successor: Minted
    old_key_id: str
    old_expires_at: datetime
    younger_key_id: str | None


class UnknownKey(LookupError):
    """No key has this id."""


class UnusableKey(ValueError):
    """A key is revoked or expired, or its project is archived."""


class ArchivedProject(ValueError):
    """A project is archived; it can get no keys and no sources."""


def mint(
    engine: Engine,
    project_name: str,
    environment: str,
    name: str | None = None,
    *,
    expires_at: datetime | None = None,
    scopes: Sequence[str] = SCOPES,
    origins: Sequence[str] = (),
) -> Minted:
    """Make a key for a project, and the project if it does not exist.

    Pages of ``origins`` may use the key; without any it is for programs.

    Raises ArchivedProject, DatabaseError.
    """
    now = datetime.now(UTC)
    with changes_on(engine) as session:
        project = ensure_project(session, project_name)
        if project.archived_at is not None:
            raise ArchivedProject(project_name)
        row = ApiKey(
            environment=environment,
            name=name,
            expires_at=expires_at,
            scopes=stored_scopes(scopes),
            origins=stored_origins(origins),
        )
        return add_key(session, project, row, now)


def add_key(session: Session, project: Project, row: ApiKey, now: datetime) -> Minted:
    """Make the key of a row, complete the row and add it in a session of ``changes_on``."""
    key = new_key(row.environment)
    row.id = new_id("key")
    row.project_id = project.id
    row.hint = hint_of(key)
    row.digest = digest_of(key)
    row.created_at = now
    session.add(row)
    append(session, Change("key.mint", row.id, project.id, after=state_of(row)))
    scopes, origins = tuple(scopes_of(row)), tuple(origins_of(row))
    return Minted(key, row.id, project.id, project.name, row.environment, row.expires_at, scopes, origins)


def rotate(engine: Engine, key_id: str, *, grace: timedelta, lifetime: timedelta | None = None) -> Rotated:
    """Make a successor of a key, and let the key expire after ``grace`` unless it expires earlier.

    ``lifetime`` is the successor's; by default it is that of the key, which may be unlimited. Raises
    UnknownKey, UnusableKey when the key is revoked, expired or its project archived, and DatabaseError.
    """
    now = datetime.now(UTC)
    with changes_on(engine) as session:
        row = _find(session, key_id)
        if row.revoked_at or (row.expires_at and row.expires_at <= now) or row.project.archived_at:
            raise UnusableKey(key_id)
        younger_key_id = None
        if row.expires_at:
            lifetime = lifetime or row.expires_at - row.created_at
            younger_key_id = _younger_key_id(session, row, now)
        with recorded(session, "key.rotate", row):
            row.expires_at = min(row.expires_at or now + grace, now + grace)
        new_row = ApiKey(
            environment=row.environment,
            name=row.name,
            expires_at=None if lifetime is None else now + lifetime,
            scopes=row.scopes,
            origins=row.origins,
        )
        successor = add_key(session, row.project, new_row, now)
        return Rotated(successor, row.id, row.expires_at, younger_key_id)


def _younger_key_id(session: Session, row: ApiKey, now: datetime) -> str | None:
    """Return the newest live key that may be the successor of another."""
    query = select(ApiKey.id).where(
        ApiKey.project_id == row.project_id,
        ApiKey.environment == row.environment,
        ApiKey.name.is_not_distinct_from(row.name),
        ApiKey.created_at > row.created_at,
        is_live(now),
    )
    return session.scalar(query.order_by(ApiKey.created_at.desc()).limit(1))


def is_live(now: datetime) -> ColumnElement[bool]:
    """Return the SQL condition that a key is neither revoked nor expired."""
    return ApiKey.revoked_at.is_(None) & (ApiKey.expires_at.is_(None) | (ApiKey.expires_at > now))


def ensure_project(session: Session, name: str) -> Project:
    """Return a project, created if necessary; insert first, so that concurrent calls get the same one."""
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    values = {"id": new_id("proj"), "name": name, "created_at": datetime.now(UTC)}
    session.execute(dialect.insert(Project).values(values).on_conflict_do_nothing())
    project = session.scalars(select(Project).where(Project.name == name)).one()
    if project.id == values["id"]:
        append(session, Change("project.create", project.id, project.id, after=state_of(project)))
    return project


def list_keys(
    engine: Engine, *, after: str = "", limit: int | None = None, project_id: str | None = None
) -> list[ApiKey]:
    """Return keys with their projects, ordered by their ids and therefore by age, from one after an id.

    Raises DatabaseError.
    """
    query = select(ApiKey).where(ApiKey.id > after).order_by(ApiKey.id).limit(limit)
    if project_id is not None:
        query = query.where(ApiKey.project_id == project_id)
    with session_on(engine) as session:
        return list(session.scalars(query))


def revoke(engine: Engine, key_id: str) -> ApiKey:
    """Revoke a key, if it is not revoked already.

    Raises UnknownKey, DatabaseError.
    """
    with changes_on(engine) as session:
        row = _find(session, key_id)
        with recorded(session, "key.revoke", row):
            row.revoked_at = row.revoked_at or datetime.now(UTC)
        return row


def _find(session: Session, key_id: str) -> ApiKey:
    row = session.get(ApiKey, key_id)
    if row is None:
        raise UnknownKey(key_id)
    return row
