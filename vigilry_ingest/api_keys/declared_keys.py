"""API keys that configuration management declares by project and name."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import Engine, select

from vigilry_ingest.api_keys.project_lookup import find_project
from vigilry_ingest.api_keys.registry import ArchivedProject, Minted, add_key, is_live
from vigilry_ingest.api_keys.restrictions import SCOPES, stored_origins, stored_scopes
from vigilry_ingest.storage.audit_log import changes_on
from vigilry_ingest.storage.models import ApiKey

# What a key is, and what cannot be changed.
_FIXED = ("environment", "scopes", "origins")


class OtherKey(ValueError):
    """A live key of the name has another environment, other scopes or origins, which cannot be changed."""

    def __init__(self, key_id: str, name: str) -> None:
        super().__init__(
            f"{key_id} is live and has the name {name}, but another environment, other scopes or origins: "
            "revoke it first."
        )


def put_key(
    engine: Engine,
    project_name_or_id: str,
    name: str,
    environment: str,
    *,
    expires_at: datetime | None = None,
    scopes: Sequence[str] = SCOPES,
    origins: Sequence[str] = (),
) -> Minted | ApiKey:
    """Make a key for a project unless it has a live one of this name, which is returned as it is.

    Raises UnknownProject, ArchivedProject, OtherKey when the live one is for something else, DatabaseError.
    """
    now = datetime.now(UTC)
    wanted = ApiKey(
        environment=environment,
        name=name,
        expires_at=expires_at,
        scopes=stored_scopes(scopes),
        origins=stored_origins(origins),
    )
    with changes_on(engine) as session:
        project = find_project(session, project_name_or_id)
        query = select(ApiKey).where(ApiKey.project_id == project.id, ApiKey.name == name, is_live(now))
        found = list(session.scalars(query.order_by(ApiKey.created_at.desc())))
        for row in found:
            if all(getattr(row, each) == getattr(wanted, each) for each in _FIXED):
                return row
        if found:
            raise OtherKey(found[0].id, name)
        if project.archived_at is not None:
            raise ArchivedProject(project.name)
        return add_key(session, project, wanted, now)
