"""What needs no key at the admin API: its health, its OpenAPI document, and what its error codes mean."""

from flask import Blueprint, Response, abort, jsonify

from vigilry_ingest.administration.openapi import openapi
from vigilry_ingest.api.problems import ADMIN, PROBLEM_TYPES, page_of
from vigilry_ingest.services import services
from vigilry_ingest.storage.engine import DatabaseError
from vigilry_ingest.storage.revision import check_migrated

blueprint = Blueprint("documents", __name__)


@blueprint.get("/openapi.json")
def show_openapi() -> Response:
    """Return the OpenAPI document of the admin API."""
    return jsonify(openapi())


@blueprint.get("/docs/errors/<code>")
def show_error(code: str) -> Response:
    """Explain an error code."""
    problem_type = (PROBLEM_TYPES | ADMIN).get(code)
    if problem_type is None:
        abort(404, "There is no error of this name.")
    return jsonify({"code": code, "type": page_of(code)} | problem_type._asdict())


@blueprint.get("/health/live")
def live() -> Response:
    """Return 200: the process is running."""
    return jsonify(status="live")


@blueprint.get("/health/ready")
def ready() -> tuple[Response, int]:
    """Return 200 if the database responds and is migrated, else 503."""
    try:
        check_migrated(services().engine)
    except DatabaseError:
        return jsonify(status="unready"), 503
    return jsonify(status="ready"), 200
