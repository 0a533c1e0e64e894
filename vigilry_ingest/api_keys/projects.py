"""Projects: list, create, change and delete."""

from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import Engine, Select, delete, func, select
from sqlalchemy.exc import IntegrityError

from vigilry_ingest.api_keys.project_lookup import UnknownProject, find_project
from vigilry_ingest.api_keys.project_settings import Settings, apply_settings
from vigilry_ingest.api_keys.registry import ensure_project, is_live
from vigilry_ingest.domain.event import Quota
from vigilry_ingest.domain.ids import is_id
from vigilry_ingest.domain.scrubbing.rules import ScrubbingRules
from vigilry_ingest.storage.audit_log import Change, append, changes_on, state_of
from vigilry_ingest.storage.engine import session_on
from vigilry_ingest.storage.models import ApiKey, Project, Source, SourceSecret


class NameTaken(ValueError):
    """Another project has this name."""


class RestoredMeanwhile(ValueError):
    """A project was restored after its events were erased, so that it may have new ones."""


class ProjectSummary(NamedTuple):
    """A project, the number of its live keys, and when one of its keys was last used."""

    project: Project
    live_keys: int
    last_used_at: datetime | None


def list_projects(engine: Engine, *, after: str = "", limit: int | None = None) -> list[ProjectSummary]:
    """Return projects, ordered by their ids and therefore by age, from one after an id.

    Raises DatabaseError.
    """
    query = _summaries().where(Project.id > after).order_by(Project.id).limit(limit)
    with session_on(engine) as session:
        return [ProjectSummary(*row) for row in session.execute(query)]


def get_project(engine: Engine, name_or_id: str) -> ProjectSummary:
    """Return a project.

    Raises UnknownProject, DatabaseError.
    """
    with session_on(engine) as session:
        query = _summaries().where(Project.id == find_project(session, name_or_id).id)
        return ProjectSummary(*session.execute(query).one())


def _summaries() -> Select[Project, int, datetime | None]:
    is_usable = Project.archived_at.is_(None) & is_live(datetime.now(UTC))
    return (
        select(Project, func.count(ApiKey.id).filter(is_usable), func.max(ApiKey.last_used_at))
        .outerjoin(ApiKey, ApiKey.project_id == Project.id)
        .group_by(Project.id)
    )


def change_project(engine: Engine, name_or_id: str, settings: Settings) -> Project:
    """Change settings of a project, see ``project_settings``.

    Raises UnknownProject, NameTaken, DatabaseError.
    """
    try:
        with changes_on(engine) as session:
            project = find_project(session, name_or_id)
            apply_settings(session, project, settings)
    except IntegrityError as error:
        raise NameTaken(settings["name"]) from error
    return project


def put_project(engine: Engine, name_or_id: str, settings: Settings) -> tuple[Project, bool]:
    """Change settings of a project, which is created if it does not exist; return whether it was.

    What is as it should be is neither written nor recorded. Raises UnknownProject for an id, DatabaseError.
    """
    with changes_on(engine) as session:
        try:
            project, is_new = find_project(session, name_or_id), False
        except UnknownProject:
            if is_id(name_or_id, "proj"):
                raise
            project, is_new = ensure_project(session, name_or_id), True
        apply_settings(session, project, settings, only_if_changed=True)
        return project, is_new


def rename(engine: Engine, name_or_id: str, name: str) -> Project:
    """Rename a project.

    Raises UnknownProject, NameTaken, DatabaseError.
    """
    return change_project(engine, name_or_id, {"name": name})


def archive(engine: Engine, name_or_id: str, *, is_archived: bool) -> Project:
    """Archive a project, which disables its keys, or restore it; its events are kept.

    Raises UnknownProject, DatabaseError.
    """
    return change_project(engine, name_or_id, {"archived": is_archived})


def limit(engine: Engine, name_or_id: str, quota: Quota | None) -> Project:
    """Set a project's quota; None removes the limit.

    Raises UnknownProject, DatabaseError.
    """
    return change_project(engine, name_or_id, (quota or Quota())._asdict())


def retain(engine: Engine, name_or_id: str, days: int | None) -> Project:
    """Set for how many days a project's events are kept: 0 for ever, None as long as those of others.

    Raises UnknownProject, DatabaseError.
    """
    return change_project(engine, name_or_id, {"retention_days": days})


def scrub(engine: Engine, name_or_id: str, rules: ScrubbingRules | None) -> Project:
    """Set what is replaced in a project's events before they are published; None for nothing.

    Raises UnknownProject, DatabaseError.
    """
    return change_project(engine, name_or_id, {"scrubbing": None if rules is None else rules.to_stored()})


def retention_by_project(engine: Engine) -> dict[str, int]:
    """Return the days for which events are kept, by the ids of the projects that have a number of their own.

    Raises DatabaseError.
    """
    query = select(Project.id, Project.retention_days).where(Project.retention_days.is_not(None))
    with session_on(engine) as session:
        return {project_id: days or 0 for project_id, days in session.execute(query)}


def project_id_of(engine: Engine, name_or_id: str) -> str:
    """Return the id of a project.

    Raises UnknownProject, DatabaseError.
    """
    with session_on(engine) as session:
        return find_project(session, name_or_id).id


def delete_project(engine: Engine, project_id: str) -> None:
    """Delete an archived project with its keys, and its sources with their secrets; its events stay.

    Raises RestoredMeanwhile, DatabaseError.
    """
    sources = select(Source.id).where(Source.project_id == project_id)
    with changes_on(engine) as session:
        project = session.get(Project, project_id)
        if project is None:
            return
        if project.archived_at is None:
            raise RestoredMeanwhile(project.name)
        append(session, Change("project.delete", project_id, project_id, before=state_of(project)))
        session.execute(delete(SourceSecret).where(SourceSecret.source_id.in_(sources)))
        for model in (Source, ApiKey):
            session.execute(delete(model).where(model.project_id == project_id))
        session.execute(delete(Project).where(Project.id == project_id))
