"""Minting, listing and revoking keys: what an operator does, through the command line."""

from datetime import UTC, datetime
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


class UnknownKey(LookupError):
    """No key has this id."""


def mint(engine: Engine, project_name: str, environment: str, name: str | None = None) -> Minted:
    """Make a key for a project, and the project too when its name is new.

    Raises DatabaseError.
    """
    now = datetime.now(UTC)
    key = new_key(environment)
    with session_on(engine) as session:
        project = _project(session, project_name, now)
        row = ApiKey(
            id=new_id("key"),
            project_id=project.id,
            environment=environment,
            name=name,
            hint=hint_of(key),
            digest=digest_of(key),
            created_at=now,
        )
        session.add(row)
        return Minted(key, row.id, project.id, project.name, environment)


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
        row = session.get(ApiKey, key_id)
        if row is None:
            raise UnknownKey(key_id)
        row.revoked_at = row.revoked_at or datetime.now(UTC)
        return row


def project_id_of(engine: Engine, name_or_id: str) -> str:
    """Find a project's id by its name; anything else is taken for an id.

    Raises DatabaseError.
    """
    with session_on(engine) as session:
        return session.scalar(select(Project.id).where(Project.name == name_or_id)) or name_or_id
