"""The documentation pages and the OpenAPI and AsyncAPI documents; no API key required."""

import mimetypes
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from flask import Blueprint, Response, abort, render_template, request, send_from_directory
from werkzeug.security import safe_join

from vigilry_ingest import __version__
from vigilry_ingest.api.problems import PROBLEM_TYPES, page_of
from vigilry_ingest.api.specs.asyncapi import asyncapi
from vigilry_ingest.api.specs.openapi import openapi
from vigilry_ingest.api.specs.responses import example_of
from vigilry_ingest.domain.event_kinds import DEFAULT_KIND, event_kinds
from vigilry_ingest.services import services
from vigilry_ingest.web.docs.code_examples import GROUPS, highlighted, programs
from vigilry_ingest.web.flask_app import status_line
from vigilry_ingest.web.request import this_request

_ASSETS = Path(__file__).parent / "assets"
_MAX_AGE_S = 300
_YEAR_S = 31_536_000
# Pages load nothing from other hosts and contain no inline scripts.
_CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# The origin of `make run`, for requests without a usable Host.
_DEFAULT_ORIGIN = "http://127.0.0.1:4100"
_LINKS = {
    "docs": "/docs",
    "errors": "/docs/errors",
    "examples": "/docs/examples",
    "openapi": "/openapi.json",
    "asyncapi": "/asyncapi.json",
    "health": "/health/live",
}

blueprint = Blueprint("pages", __name__, template_folder="templates")


@blueprint.after_request
def add_security_headers(response: Response) -> Response:
    """Restrict what a page may load and do."""
    response.headers["Content-Security-Policy"] = _CONTENT_SECURITY_POLICY
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


@blueprint.get("/")
def show_home() -> Response:
    """Show the service's name and version, and links to its documentation."""
    members = {"name": "Vigilry Ingest", "version": __version__, **_LINKS}
    return _page_with_origin("home.html", members, example=_pretty(event_kinds()[DEFAULT_KIND].example))


@blueprint.get("/docs")
def show_reference() -> Response:
    """Show the API reference, which can send requests."""
    return _cached(Response(render_template("reference.html"), mimetype="text/html"), _MAX_AGE_S)


@blueprint.get("/docs/errors")
def show_errors() -> Response:
    """List all error codes."""
    members = {code: _error_members(code) for code in PROBLEM_TYPES}
    return _page("errors.html", members, problem_types=PROBLEM_TYPES)


@blueprint.get("/docs/errors/<code>")
def show_error(code: str) -> Response:
    """Explain an error code."""
    problem_type = PROBLEM_TYPES.get(code)
    if problem_type is None:
        return _missing("error", "/docs/errors")
    return _page(
        "error.html",
        _error_members(code),
        code=code,
        problem_type=problem_type,
        status_line=f"HTTP/1.1 {status_line(problem_type.status)}",
        example=_pretty(example_of(code)),
    )


@blueprint.get("/docs/examples")
def show_examples() -> Response:
    """List the programs of ``examples/``."""
    members = {name: {"title": each.title, "file": each.file_url} for name, each in programs().items()}
    return _page_with_origin("examples.html", members, groups=GROUPS, programs=programs())


@blueprint.get("/docs/examples/<name>")
def show_example(name: str) -> Response:
    """Show an example program."""
    program = programs().get(name)
    if program is None:
        return _missing("example", "/docs/examples")
    members = {"name": name, "title": program.title, "file": program.file_url}
    return _page("example.html", members, name=name, program=program, text=highlighted(name))


@blueprint.get("/openapi.json")
def show_openapi() -> Response:
    """Return the OpenAPI document, which describes the HTTP API to senders."""
    return _json(openapi(services().config.public_url))


@blueprint.get("/asyncapi.json")
def show_asyncapi() -> Response:
    """Return the AsyncAPI document, which describes the streams to consumers."""
    return _json(asyncapi())


@blueprint.get("/docs/assets/<path:name>")
def show_asset(name: str) -> Response:
    """Return a static file; files with a version in their path never change."""
    max_age_s = _YEAR_S if "swagger-ui-" in name else _MAX_AGE_S
    compressed = safe_join(str(_ASSETS), f"{name}.gz")
    if compressed is None or not Path(compressed).is_file():
        response = send_from_directory(_ASSETS, name, max_age=max_age_s)
    else:
        response = _send_compressible(name, max_age_s)
    response.cache_control.public = True
    return response


def _send_compressible(name: str, max_age_s: int) -> Response:
    """Return a file that has a compressed copy beside it: the copy, if the client accepts gzip."""
    if request.accept_encodings["gzip"]:
        media_type, _ = mimetypes.guess_type(name)
        response = send_from_directory(_ASSETS, f"{name}.gz", mimetype=media_type, max_age=max_age_s)
        response.content_encoding = "gzip"
    else:
        response = send_from_directory(_ASSETS, name, max_age=max_age_s)
    response.vary.add("Accept-Encoding")
    return response


def _page(template: str, members: Mapping[str, Any], **values: Any) -> Response:
    """Return a rendered template to a browser, and `members` as JSON to any other client."""
    if _prefers_html():
        response = Response(render_template(template, page_of=page_of, **values), mimetype="text/html")
    else:
        response = _json(members)
    response.vary.add("Accept")
    return _cached(response, _MAX_AGE_S)


def _page_with_origin(template: str, members: Mapping[str, Any], **values: Any) -> Response:
    """Return a page that contains the service's origin: the configured one, else the request's own."""
    public_url = services().config.public_url
    request_origin = f"{request.scheme}://{request.host}" if request.host else _DEFAULT_ORIGIN
    response = _page(template, members, origin=public_url or request_origin, **values)
    if not public_url:
        # The page depends on the Host header, so shared caches must not store it.
        response.cache_control.public = False
        response.cache_control.private = True
    return response


def _missing(what: str, list_url: str) -> Response:
    """Return a 404 page to a browser, and a problem to any other client."""
    if not _prefers_html():
        abort(404, f"There is no {what} of this name; {list_url} lists all.")
    this_request().refusal = "not_found"
    page = render_template("missing.html", what=what, list_url=list_url)
    response = Response(page, status_line(404), mimetype="text/html")
    response.vary.add("Accept")
    return response


def _prefers_html() -> bool:
    return request.accept_mimetypes.best_match(["application/json", "text/html"]) == "text/html"


def _pretty(value: Mapping[str, Any]) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def _error_members(code: str) -> dict[str, Any]:
    head = {"code": code, "type": page_of(code)}
    return head | PROBLEM_TYPES[code]._asdict() | {"example": example_of(code)}


def _json(members: Mapping[str, Any]) -> Response:
    return _cached(Response(msgspec.json.encode(members), mimetype="application/json"), _MAX_AGE_S)


def _cached(response: Response, max_age_s: int) -> Response:
    response.cache_control.public = True
    response.cache_control.max_age = max_age_s
    response.add_etag()
    response.make_conditional(request)
    return response
