"""The pages: what a newcomer reads in a browser, and the documents that programs read; no key needed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from flask import Blueprint, Response, abort, render_template, request, send_from_directory

from vigilry_ingest import __version__
from vigilry_ingest.api.problems import PROBLEM_TYPES, page_of
from vigilry_ingest.api.specs.asyncapi import asyncapi
from vigilry_ingest.api.specs.openapi import openapi
from vigilry_ingest.api.specs.responses import example_of
from vigilry_ingest.domain.event_kinds import DEFAULT_KIND, event_kinds
from vigilry_ingest.services import services
from vigilry_ingest.web.docs.code_examples import GROUPS, in_colour, programs
from vigilry_ingest.web.flask_app import status_line
from vigilry_ingest.web.request import this_request

_ASSETS = Path(__file__).parent / "assets"
_MINUTES_S = 300
_YEAR_S = 31_536_000
# Nothing comes from another host, and no script stands in a page.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# Where `make run` serves: for a request that does not say which host it asks.
_LOCAL = "http://127.0.0.1:4100"
_WHERE = {
    "docs": "/docs",
    "errors": "/docs/errors",
    "examples": "/docs/examples",
    "openapi": "/openapi.json",
    "asyncapi": "/asyncapi.json",
    "health": "/health/live",
}

blueprint = Blueprint("pages", __name__, template_folder="templates")


@blueprint.after_request
def protect(answer: Response) -> Response:
    """Let a page do no more than it needs."""
    answer.headers["Content-Security-Policy"] = _POLICY
    answer.headers["X-Content-Type-Options"] = "nosniff"
    answer.headers["Referrer-Policy"] = "no-referrer"
    return answer


@blueprint.get("/")
def show_home() -> Response:
    """Say what this is and where the documentation is."""
    about = {"name": "Vigilry Ingest", "version": __version__, **_WHERE}
    return _page_with_origin("home.html", about, example=_pretty(event_kinds()[DEFAULT_KIND].example))


@blueprint.get("/docs")
def show_reference() -> Response:
    """Show the reference, from which requests can be sent."""
    return _kept(Response(render_template("reference.html"), mimetype="text/html"), _MINUTES_S)


@blueprint.get("/docs/errors")
def show_errors() -> Response:
    """List every refusal."""
    return _page("errors.html", {code: _explained(code) for code in PROBLEM_TYPES}, refusals=PROBLEM_TYPES)


@blueprint.get("/docs/errors/<code>")
def show_error(code: str) -> Response:
    """Explain one refusal."""
    refusal = PROBLEM_TYPES.get(code)
    if refusal is None:
        return _missing("refusal", "/docs/errors")
    head, told = f"HTTP/1.1 {status_line(refusal.status)}", _pretty(example_of(code))
    return _page("error.html", _explained(code), code=code, refusal=refusal, head=head, example=told)


@blueprint.get("/docs/examples")
def show_examples() -> Response:
    """List the programs of ``examples/``."""
    listed = {name: {"title": each.title, "file": each.address} for name, each in programs().items()}
    return _page_with_origin("examples.html", listed, groups=GROUPS, programs=programs())


@blueprint.get("/docs/examples/<name>")
def show_example(name: str) -> Response:
    """Show one program."""
    program = programs().get(name)
    if program is None:
        return _missing("example", "/docs/examples")
    about = {"name": name, "title": program.title, "file": program.address}
    return _page("example.html", about, name=name, program=program, text=in_colour(name))


@blueprint.get("/openapi.json")
def show_openapi() -> Response:
    """Describe the service to senders' programs."""
    return _document(openapi(services().config.public_url))


@blueprint.get("/asyncapi.json")
def show_asyncapi() -> Response:
    """Describe the streams to consumers' programs."""
    return _document(asyncapi())


@blueprint.get("/docs/assets/<path:name>")
def show_asset(name: str) -> Response:
    """Give a file of the pages; those with a version in their name never change."""
    answer = send_from_directory(_ASSETS, name, max_age=_YEAR_S if "swagger-ui-" in name else _MINUTES_S)
    answer.cache_control.public = True
    return answer


def _page(template: str, members: Mapping[str, Any], **values: Any) -> Response:
    """Answer HTML to a browser, and JSON to a program."""
    if _is_for_a_browser():
        answer = Response(render_template(template, page_of=page_of, **values), mimetype="text/html")
    else:
        answer = _document(members)
    answer.vary.add("Accept")
    return _kept(answer, _MINUTES_S)


def _page_with_origin(template: str, members: Mapping[str, Any], **values: Any) -> Response:
    """Answer a page that names the service's origin, as the operator says it, or else the request."""
    public_url = services().config.public_url
    asked = f"{request.scheme}://{request.host}" if request.host else _LOCAL
    answer = _page(template, members, origin=public_url or asked, **values)
    if not public_url:
        # What one reader's Host says is not for the next.
        answer.cache_control.public = False
        answer.cache_control.private = True
    return answer


def _missing(what: str, where: str) -> Response:
    """Say to a browser in a page, and to a program in a problem, that there is nothing of this name."""
    if not _is_for_a_browser():
        abort(404, f"There is no {what} of this name; {where} lists them all.")
    this_request().refusal = "not_found"
    page = render_template("missing.html", what=what, where=where)
    answer = Response(page, status_line(404), mimetype="text/html")
    answer.vary.add("Accept")
    return answer


def _is_for_a_browser() -> bool:
    return request.accept_mimetypes.best_match(["application/json", "text/html"]) == "text/html"


def _pretty(value: Mapping[str, Any]) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def _explained(code: str) -> dict[str, Any]:
    return (
        {"code": code, "type": page_of(code)} | PROBLEM_TYPES[code]._asdict() | {"example": example_of(code)}
    )


def _document(members: Mapping[str, Any]) -> Response:
    return _kept(Response(msgspec.json.encode(members), mimetype="application/json"), _MINUTES_S)


def _kept(answer: Response, seconds: int) -> Response:
    answer.cache_control.public = True
    answer.cache_control.max_age = seconds
    answer.add_etag()
    answer.make_conditional(request)
    return answer
