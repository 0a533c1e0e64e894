"""Reading requests of the admin API, and responding with records."""

from collections.abc import Mapping
from typing import Any

import msgspec
from flask import Response, json

from vigilry_ingest.administration.admin_schema import AdminSchema
from vigilry_ingest.administration.queries import NoQuery
from vigilry_ingest.administration.records import to_object
from vigilry_ingest.web.flask_app import status_line
from vigilry_ingest.web.request import this_request
from vigilry_ingest.web.request_body import read_object


def body_of(schema: AdminSchema) -> dict[str, Any]:
    """Return the values of the request's body; it has no query, so that a ``dry_run`` changes nothing.

    Raises BodyError, MalformedJson, InvalidEvent.
    """
    query_of(NoQuery())
    return dict(schema.read_body(read_object(this_request())))


def query_of(schema: AdminSchema) -> dict[str, Any]:
    """Return the values of the request's query.

    Raises InvalidEvent.
    """
    return dict(schema.read_members(this_request().args.to_dict()))


def respond(record: msgspec.Struct, status: int = 200, **more: Any) -> Response:
    """Respond with a record and further members."""
    return _json(to_object(record) | more, status)


def _json(members: Mapping[str, Any], status: int) -> Response:
    response = Response(json.dumps(members), status_line(status), mimetype="application/json")
    # Some have a secret, and all are for administrators alone.
    response.headers["Cache-Control"] = "no-store"
    return response
