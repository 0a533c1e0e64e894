"""``/admin/keys``: list, mint, rotate and revoke API keys."""

from datetime import timedelta
from typing import Any

from flask import Blueprint, Response

from vigilry_ingest.administration.protocols import KeySettings
from vigilry_ingest.administration.queries import NoQuery, ProjectPageQuery
from vigilry_ingest.administration.records import MintedKey
from vigilry_ingest.administration.request_fields import label_fault
from vigilry_ingest.administration.requests import KeyPutSchema, KeyRotationSchema, KeySchema
from vigilry_ingest.api.schemas.faults import Fault, InvalidEvent
from vigilry_ingest.api_keys.admin_keys import KEYS, PROJECTS, READ
from vigilry_ingest.web.admin.auth import permits, this_administrator
from vigilry_ingest.web.admin.exchange import body_of, query_of, respond
from vigilry_ingest.web.admin.parts import parts

blueprint = Blueprint("keys", __name__)


@blueprint.get("/keys")
@permits(READ, KEYS)
def list_keys() -> Response:
    """List keys, the oldest first, of all projects or of one."""
    query = query_of(ProjectPageQuery())
    return respond(parts().keys.page(query["after"], query["limit"], query["project"]))


@blueprint.post("/keys")
@permits(KEYS, records=("project.create", "key.mint"))
def mint_key() -> Response:
    """Mint a key; a project that does not exist is created if the admin key may do that."""
    body = body_of(KeySchema())
    if PROJECTS not in this_administrator().scopes:
        parts().projects.get(body["project"])
    settings = KeySettings(lifetime=_lifetime(body), **body)
    return respond(parts().keys.mint(settings), 201)


@blueprint.put("/keys/by-name/<project>/<name:name>")
@permits(KEYS, records=("key.mint",))
def put_key(project: str, name: str) -> Response:
    """Mint a key unless the project has a live one of this name.

    Responds with 201 and the key if it is new, and with 200 and what is known of it otherwise.
    """
    if fault := label_fault(name):
        raise InvalidEvent([Fault("", "invalid", f"The name in the path {fault}")])
    body = body_of(KeyPutSchema())
    settings = KeySettings(project=project, name=name, lifetime=_lifetime(body), **body)
    done = parts().keys.put(settings)
    return respond(done, 201 if isinstance(done, MintedKey) else 200)


@blueprint.post("/keys/<key_id>/rotate")
@permits(KEYS, records=("key.rotate", "key.mint"))
def rotate_key(key_id: str) -> Response:
    """Make the successor of a key, which expires after a grace period."""
    body = body_of(KeyRotationSchema())
    grace = timedelta(hours=body["grace_hours"])
    return respond(parts().keys.rotate(key_id, grace=grace, lifetime=_lifetime(body)), 201)


@blueprint.post("/keys/<key_id>/revoke")
@permits(KEYS, records=("key.revoke",))
def revoke_key(key_id: str) -> Response:
    """Revoke a key; takes effect on all web workers within VIGILRY_KEY_CACHE_TTL_S."""
    query_of(NoQuery())
    return respond(parts().keys.revoke(key_id))


def _lifetime(body: dict[str, Any]) -> timedelta | None:
    days = body.pop("expires_in_days")
    return None if days is None else timedelta(days=days)
