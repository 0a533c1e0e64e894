"""``/admin/projects``: list, create, change and delete projects."""

from flask import Blueprint, Response

from vigilry_ingest.administration.queries import DeletionQuery, NoQuery, PageQuery
from vigilry_ingest.administration.request_fields import name_fault
from vigilry_ingest.administration.requests import ProjectChangeSchema, ProjectSettingsSchema
from vigilry_ingest.api.schemas.faults import Fault, InvalidEvent
from vigilry_ingest.api_keys.admin_keys import PROJECTS, READ
from vigilry_ingest.domain.ids import is_id
from vigilry_ingest.web.admin.auth import permits
from vigilry_ingest.web.admin.exchange import body_of, query_of, respond
from vigilry_ingest.web.admin.parts import parts

blueprint = Blueprint("projects", __name__)

_PROJECT = "/projects/<name:project>"
_SETTINGS = ("project.limit", "project.retain", "project.scrub", "project.archive", "project.unarchive")


@blueprint.get("/projects")
@permits(READ, PROJECTS)
def list_projects() -> Response:
    """List projects, the oldest first."""
    query = query_of(PageQuery())
    return respond(parts().projects.page(query["after"], query["limit"]))


@blueprint.get(_PROJECT)
@permits(READ, PROJECTS)
def show_project(project: str) -> Response:
    """Show a project, by its name or id."""
    query_of(NoQuery())
    return respond(parts().projects.get(project))


@blueprint.put(_PROJECT)
@permits(PROJECTS, records=("project.create", *_SETTINGS))
def put_project(project: str) -> Response:
    """Create a project or change its settings, by its name or id.

    Responds with 201 if it is new. What is as it should be is neither written nor recorded.
    """
    if not is_id(project, "proj") and (fault := name_fault(project)):
        raise InvalidEvent([Fault("", "invalid", f"The name in the path {fault}")])
    record, is_new = parts().projects.put(project, body_of(ProjectSettingsSchema()))
    return respond(record, 201 if is_new else 200)


@blueprint.patch(_PROJECT)
@permits(PROJECTS, records=("project.rename", *_SETTINGS))
def change_project(project: str) -> Response:
    """Change a project or rename it."""
    return respond(parts().projects.change(project, body_of(ProjectChangeSchema())))


@blueprint.delete(_PROJECT)
@permits(PROJECTS, records=("project.archive", "events.erase", "project.delete"))
def delete_project(project: str) -> Response:
    """Delete a project with its events, keys and sources; ``confirm`` is its name."""
    query = query_of(DeletionQuery())
    if query["dry_run"] == "true":
        return respond(parts().projects.count_events(project))
    if query["confirm"] is None:
        raise InvalidEvent([Fault("/confirm", "required", "Send the name of the project, or dry_run=true.")])
    return respond(parts().projects.delete(project, query["confirm"]))
