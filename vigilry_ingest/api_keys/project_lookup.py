"""Look-up of a project by its name or id."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from vigilry_ingest.storage.models import Project


class UnknownProject(LookupError):
    """No project has this name or id."""


def find_project(session: Session, name_or_id: str) -> Project:
    """Return a project by its id or name.

    Raises UnknownProject.
    """
    for column in (Project.id, Project.name):
        project = session.scalars(select(Project).where(column == name_or_id)).one_or_none()
        if project is not None:
            return project
    raise UnknownProject(name_or_id)
