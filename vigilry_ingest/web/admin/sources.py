"""``/admin/sources``: list, add, change and remove sources of webhooks."""

from datetime import timedelta

from flask import Blueprint, Response

from vigilry_ingest.administration.queries import NoQuery, ProjectPageQuery
from vigilry_ingest.administration.request_fields import label_fault
from vigilry_ingest.administration.requests import (
    SecretRotationSchema,
    SourceChangeSchema,
    SourcePutSchema,
    SourceSchema,
)
from vigilry_ingest.api.schemas.faults import Fault, InvalidEvent
from vigilry_ingest.api_keys.admin_keys import READ, SOURCES
from vigilry_ingest.web.admin.auth import permits
from vigilry_ingest.web.admin.exchange import body_of, query_of, respond
from vigilry_ingest.web.admin.parts import parts
from vigilry_ingest.webhooks.source_settings import SourceSettings

blueprint = Blueprint("sources", __name__)


@blueprint.get("/sources")
@permits(READ, SOURCES)
def list_sources() -> Response:
    """List sources, the oldest first, of all projects or of one."""
    query = query_of(ProjectPageQuery())
    return respond(parts().sources.page(query["after"], query["limit"], query["project"]))


@blueprint.post("/sources")
@permits(SOURCES, records=("source.add",))
def add_source() -> Response:
    """Add a source."""
    body = body_of(SourceSchema())
    secret = body.pop("secret")
    return respond(parts().sources.add(SourceSettings(**body), secret), 201)


@blueprint.put("/sources/by-name/<project>/<name:name>")
@permits(SOURCES, records=("source.add", "source.change", "source.rotate", "source.disable", "source.enable"))
def put_source(project: str, name: str) -> Response:
    """Add a source or change it, by its project and name.

    Responds with 201 if it is new, and with ``secret`` if one was made for it. What is as it should be is
    neither written nor recorded.
    """
    if fault := label_fault(name):
        raise InvalidEvent([Fault("", "invalid", f"The name in the path {fault}")])
    body = body_of(SourcePutSchema())
    settings = SourceSettings(
        project, body["environment"], body["provider"], name, body["options"], body["severities"]
    )
    source, is_new, secret = parts().sources.put(
        settings,
        body.get("secret"),
        is_disabled=body.get("disabled"),
        grace=timedelta(hours=body["grace_hours"]),
    )
    return respond(source, 201 if is_new else 200, **({} if secret is None else {"secret": secret}))


@blueprint.get("/sources/<source_id>")
@permits(READ, SOURCES)
def show_source(source_id: str) -> Response:
    """Show a source."""
    query_of(NoQuery())
    return respond(parts().sources.get(source_id))


@blueprint.patch("/sources/<source_id>")
@permits(SOURCES, records=("source.disable", "source.enable"))
def change_source(source_id: str) -> Response:
    """Disable a source, or enable it again."""
    body = body_of(SourceChangeSchema())
    return respond(parts().sources.disable(source_id, is_disabled=body["disabled"]))


@blueprint.delete("/sources/<source_id>")
@permits(SOURCES, records=("source.remove",))
def remove_source(source_id: str) -> Response:
    """Remove a source; its events are kept."""
    query_of(NoQuery())
    return respond(parts().sources.remove(source_id))


@blueprint.post("/sources/<source_id>/rotate")
@permits(SOURCES, records=("source.rotate",))
def rotate_source(source_id: str) -> Response:
    """Replace the secret of a source, which remains valid for a grace period."""
    body = body_of(SecretRotationSchema())
    grace = timedelta(hours=body["grace_hours"])
    return respond(parts().sources.rotate(source_id, body["secret"], grace=grace))


@blueprint.post("/secrets/rotate")
@permits(SOURCES, records=("secret.reencrypt",))
def reencrypt_secrets() -> Response:
    """Encrypt the secrets of all sources with the newest key."""
    query_of(NoQuery())
    return respond(parts().sources.reencrypt())
