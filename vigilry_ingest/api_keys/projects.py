"""Projects: list, rename, archive and limit."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import Engine, delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from vigilry_ingest.api_keys.registry import is_live
from vigilry_ingest.domain.event import Quota
from vigilry_ingest.domain.scrubbing.rules import ScrubbingRules
from vigilry_ingest.storage.audit_log import Change, append, changes_on, recorded, state_of
from vigilry_ingest.storage.engine import session_on
from vigilry_ingest.storage.models import ApiKey, Project, Source, SourceSecret


class UnknownProject(LookupError):
    """No project has this name or id."""


class NameTaken(ValueError):
    """Another project has this name."""


class ProjectSummary(NamedTuple):
    """A project, the number of its live keys, and when one of its keys was last used."""

    project: Project
    live_keys: int
    last_used_at: datetime | None


def list_projects(engine: Engine) -> list[ProjectSummary]:
    """Return all projects, ordered by name.

    Raises DatabaseError.
    """
    is_usable = Project.archived_at.is_(None) & is_live(datetime.now(UTC))
    query = (
        select(Project, func.count(ApiKey.id).filter(is_usable), func.max(ApiKey.last_used_at))
        .outerjoin(ApiKey, ApiKey.project_id == Project.id)
        .group_by(Project.id)
        .order_by(Project.name)
    )
    with session_on(engine) as session:
        return [ProjectSummary(*row) for row in session.execute(query)]


def rename(engine: Engine, name_or_id: str, name: str) -> Project:
    """Rename a project.

    Raises UnknownProject, NameTaken, DatabaseError.
    """
    try:
        with _changing(engine, name_or_id, "project.rename") as project:
            project.name = name
    except IntegrityError as error:
        raise NameTaken(name) from error
    return project


def archive(engine: Engine, name_or_id: str, *, is_archived: bool) -> Project:
    """Archive a project, which disables its keys, or restore it; its events are kept.

    Raises UnknownProject, DatabaseError.
    """
    action = "project.archive" if is_archived else "project.unarchive"
    with _changing(engine, name_or_id, action) as project:
        project.archived_at = (project.archived_at or datetime.now(UTC)) if is_archived else None
    return project


def limit(engine: Engine, name_or_id: str, quota: Quota | None) -> Project:
    """Set a project's quota; None removes the limit.

    Raises UnknownProject, DatabaseError.
    """
    with _changing(engine, name_or_id, "project.limit") as project:
        per_second, burst, bytes_per_second = quota or Quota()
        project.rate_per_second, project.burst = per_second or None, burst or None
        project.bytes_per_second = bytes_per_second or None
    return project


def retain(engine: Engine, name_or_id: str, days: int | None) -> Project:
    """Set for how many days a project's events are kept: 0 for ever, None as long as those of others.

    Raises UnknownProject, DatabaseError.
    """
    with _changing(engine, name_or_id, "project.retain") as project:
        project.retention_days = days
    return project


def scrub(engine: Engine, name_or_id: str, rules: ScrubbingRules | None) -> Project:
    """Set what is replaced in a project's events before they are published; None for nothing.

    Raises UnknownProject, DatabaseError.
    """
    with _changing(engine, name_or_id, "project.scrub") as project:
        project.scrubbing = None if rules is None else rules.to_stored()
    return project


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


def name_of(engine: Engine, project_id: str) -> str:
    """Return the name of a project.

    Raises UnknownProject, DatabaseError.
    """
    with session_on(engine) as session:
        return find_project(session, project_id).name


def delete_project(engine: Engine, project_id: str) -> None:
    """Delete a project with its keys, and its sources with their secrets; its events stay.

    Raises DatabaseError.
    """
    sources = select(Source.id).where(Source.project_id == project_id)
    with changes_on(engine) as session:
        project = session.get(Project, project_id)
        if project is None:
            return
        append(session, Change("project.delete", project_id, project_id, before=state_of(project)))
        session.execute(delete(SourceSecret).where(SourceSecret.source_id.in_(sources)))
        for model in (Source, ApiKey):
            session.execute(delete(model).where(model.project_id == project_id))
        session.execute(delete(Project).where(Project.id == project_id))


@contextmanager
def _changing(engine: Engine, name_or_id: str, action: str) -> Iterator[Project]:
    with changes_on(engine) as session:
        project = find_project(session, name_or_id)
        with recorded(session, action, project):
            yield project


def find_project(session: Session, name_or_id: str) -> Project:
    """Return a project by its id or name.

    Raises UnknownProject.
    """
    for column in (Project.id, Project.name):
        project = session.scalars(select(Project).where(column == name_or_id)).one_or_none()
        if project is not None:
            return project
    raise UnknownProject(name_or_id)
