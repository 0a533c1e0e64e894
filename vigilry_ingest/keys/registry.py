"""Minting, listing and revoking keys: what an operator does, through the command line."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Engine, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from vigilry_ingest.db.models import ApiKey, Project
from vigilry_ingest.db.session import session_on
from vigilry_ingest.ids import new_id
from vigilry_ingest.keys.format import digest_of, hint_of, new_key


class Minted(NamedTuple):
    """A new key, the only time that it is known in full."""

    api_key: str
    key_id: str
    project_id: str
    project: str
    environment: str
    expires_at: datetime | None = None


class UnknownKey(LookupError):
    """No key has this id."""


class UnusableKey(ValueError):
    """A key is revoked or expired, or its project is archived."""


class ArchivedProject(ValueError):
    """A project is archived and gets no new keys."""


def mint(
    engine: Engine,
    project_name: str,
    environment: str,
    name: str | None = None,
    *,
    expires_at: datetime | None = None,
) -> Minted:
    """Make a key for a project, and the project too when its name is new.

    Raises ArchivedProject, DatabaseError.
    """
    now = datetime.now(UTC)
    with session_on(engine) as session:
        project = _project(session, project_name, now)
        if project.archived_at is not None:
            raise ArchivedProject(project_name)
        return _mint(session, project, environment, name, expires_at, now)


def _mint(
    session: Session,
    project: Project,
    environment: str,
    name: str | None,
    expires_at: datetime | None,
    now: datetime,
) -> Minted:
    key = new_key(environment)
    row = ApiKey(
        id=new_id("key"),
        project_id=project.id,
        environment=environment,
        name=name,
        hint=hint_of(key),
        digest=digest_of(key),
        created_at=now,
        expires_at=expires_at,
    )
    session.add(row)
    return Minted(key, row.id, project.id, project.name, environment, expires_at)


def rotate(engine: Engine, key_id: str, *, grace: timedelta) -> Minted:
    """Make a successor of a key, and let the key expire after a time of grace, or sooner where it would.

    Raises UnknownKey, UnusableKey when it is revoked, expired or its project archived, and DatabaseError.
    """
    now = datetime.now(UTC)
    with session_on(engine) as session:
        row = _find(session, key_id)
        if row.revoked_at or (row.expires_at and row.expires_at <= now) or row.project.archived_at:
            raise UnusableKey(key_id)
        row.expires_at = min(row.expires_at or now + grace, now + grace)
        return _mint(session, row.project, row.environment, row.name, None, now)


def _project(session: Session, name: str, now: datetime) -> Project:
    """Find a project, or make it. Written before it is read, so that two who make it at once get one."""
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    project = {"id": new_id("proj"), "name": name, "created_at": now}
    session.execute(dialect.insert(Project).values(project).on_conflict_do_nothing())
    return session.scalars(select(Project).where(Project.name == name)).one()


def list_keys(engine: Engine) -> list[ApiKey]:
    """List every key, by project and age, each with its project loaded; never the key itself.

    Raises DatabaseError.
    """
    with session_on(engine) as session:
        query = select(ApiKey).join(ApiKey.project).order_by(Project.name, ApiKey.created_at, ApiKey.id)
        return list(session.scalars(query))


def revoke(engine: Engine, key_id: str) -> ApiKey:
    """Revoke a key; revoking it again changes nothing.

    Raises UnknownKey, DatabaseError.
    """
    with session_on(engine) as session:
        row = _find(session, key_id)
        row.revoked_at = row.revoked_at or datetime.now(UTC)
        return row


def _find(session: Session, key_id: str) -> ApiKey:
    row = session.get(ApiKey, key_id)
    if row is None:
        raise UnknownKey(key_id)
    return row
