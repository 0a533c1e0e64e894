"""The application class: hooks, routes and exceptions behave as in any Flask application."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import werkzeug.exceptions
from flask import Flask, Response, abort, after_this_request, make_response, request, session
from werkzeug.exceptions import HTTPException, default_exceptions
from werkzeug.routing import MapAdapter, RequestRedirect

from tests.web.plain_flask import Calls, add_to
from vigilry_ingest.app import create_app
from vigilry_ingest.config.settings import Config


@pytest.fixture
def app(tmp_path: Path) -> Flask:
    """Make an application without a broker or database; routes of the test need neither."""
    url = f"sqlite:///{tmp_path}/none.db"
    return create_app(Config(database_url=url, redis_url=f"unix://{tmp_path}/none.sock"))


@pytest.mark.parametrize(
    "path", ["/outer/inner/1", "/outer/inner/stop", "/outer/inner/fail", "/plain", "/none"]
)
def test_hooks_are_called_as_flask_calls_them(app: Flask, path: str) -> None:
    own, flasks = Calls(), Calls()
    plain = Flask("plain")
    # Flask alone would answer an exception of a view in its own words.
    plain.register_error_handler(ZeroDivisionError, lambda _: ("failed", 500))
    app.register_error_handler(ZeroDivisionError, lambda _: ("failed", 500))
    add_to(plain, flasks)
    add_to(app, own)
    statuses = [each.test_client().post(path).status_code for each in (plain, app)]
    assert statuses[0] == statuses[1]
    assert own.names == flasks.names
    assert len(own.names) > 4


def test_hooks_that_are_added_after_the_blueprints_are_called(app: Flask) -> None:
    called: list[str] = []
    app.before_request(lambda: called.append("before"))
    app.url_value_preprocessor(lambda endpoint, _values: called.append(f"values of {endpoint}"))
    app.teardown_request(lambda _error: called.append("teardown"))

    @app.after_request
    def note(response: Response) -> Response:
        called.append("after")
        response.headers["X-Noted"] = "yes"
        return response

    answer = app.test_client().get("/health/live")
    assert (answer.status_code, answer.headers["X-Noted"]) == (200, "yes")
    assert called == ["values of health.live", "before", "after", "teardown"]


def test_the_response_of_a_hook_is_sent_in_place_of_the_views(app: Flask) -> None:
    app.before_request(lambda: ("closed", 503))
    answer = app.test_client().post("/ingest/events")
    assert (answer.status_code, answer.text) == (503, "closed")


def test_a_hook_of_this_request_alone_is_called(app: Flask) -> None:
    @app.get("/late")
    def late() -> str:
        @after_this_request
        def note(response: Response) -> Response:
            response.headers["X-Noted"] = "yes"
            return response

        return "late"

    assert app.test_client().get("/late").headers["X-Noted"] == "yes"


def test_a_route_that_is_added_late_is_served_with_and_without_variables(app: Flask) -> None:
    app.add_url_rule("/late", view_func=lambda: "late", methods=["GET", "POST"])
    app.add_url_rule("/late/<int:number>", "numbered", lambda number: str(number + 1))
    client = app.test_client()
    assert client.get("/late").text == client.post("/late").text == "late"
    assert client.get("/late/41").text == "42"
    assert client.delete("/late").status_code == 405
    assert client.get("/late/x").status_code == 404


def test_an_exception_in_an_after_request_hook_is_answered_as_a_problem(app: Flask) -> None:
    app.after_request(lambda _response: abort(418))
    answer = app.test_client().get("/health/live")
    assert answer.status_code == 418
    assert answer.content_type == "application/problem+json"


@pytest.mark.parametrize("status", sorted(default_exceptions))
def test_every_http_exception_keeps_its_status_in_the_problem_shape(app: Flask, status: int) -> None:
    def refuse() -> Response:
        abort(status, description="gone fishing")

    app.add_url_rule("/refused", view_func=refuse)
    answer = app.test_client().get("/refused")
    problem = json.loads(answer.data)
    assert (answer.status_code, answer.content_type) == (status, "application/problem+json")
    assert (problem["status"], problem["detail"]) == (status, "gone fishing")
    assert problem["title"]
    if problem["code"] in ("bad_request", "internal_error") and status not in (400, 500):
        assert problem["title"] == default_exceptions[status]().name
    assert problem["requestId"] == answer.headers["X-Request-Id"]


@pytest.mark.parametrize(
    ("error", "header", "value"),
    [
        (lambda: werkzeug.exceptions.MethodNotAllowed(["PUT"]), "Allow", "PUT"),
        (lambda: werkzeug.exceptions.TooManyRequests(retry_after=7), "Retry-After", "7"),
        (lambda: werkzeug.exceptions.ServiceUnavailable(retry_after=9), "Retry-After", "9"),
        (lambda: werkzeug.exceptions.RequestedRangeNotSatisfiable(5), "Content-Range", "bytes */5"),
    ],
)
def test_an_http_exception_keeps_its_headers(
    app: Flask, error: Callable[[], HTTPException], header: str, value: str
) -> None:
    def refuse() -> Response:
        raise error()

    app.add_url_rule("/refused", view_func=refuse)
    answer = app.test_client().get("/refused")
    assert answer.content_type == "application/problem+json"
    assert answer.headers.getlist(header) == [value]


def test_an_exception_that_is_a_response_already_is_sent_as_it_is(app: Flask) -> None:
    def redirect() -> Response:
        raise RequestRedirect("/elsewhere")

    app.add_url_rule("/own", view_func=lambda: abort(make_response("own", 410)))
    app.add_url_rule("/moved", view_func=redirect)
    answer = app.test_client().get("/own")
    assert (answer.status_code, answer.text) == (410, "own")
    answer = app.test_client().get("/moved")
    assert (answer.status_code, answer.headers["Location"]) == (308, "/elsewhere")


def test_a_session_cannot_be_written_to(app: Flask) -> None:
    def write() -> str:
        session["name"] = request.path
        return "written"

    app.add_url_rule("/write", view_func=write)
    assert app.test_client().get("/write").status_code == 500


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "OPTIONS", "PUT"])
@pytest.mark.parametrize(
    "path",
    [
        "/hooks/src_1", "/hooks/", "/hooks", "/hooks/a/b", "/hooks//a", "/hooks/a b", "/hooks/é",
        "/hooks/%2F",
        "/ingest/jobs/bull-1", "/ingest/jobs/", "/ingest/events", "/ingest/events/", "/docs/errors/not_found",
        "/docs/examples/retry.py", "/docs/assets/a.css", "/docs/assets/a/b.css", "/docs", "/", "//",
        "/x", "",
    ],
)  # fmt: skip
def test_a_path_is_matched_as_werkzeug_matches_it(app: Flask, method: str, path: str) -> None:
    with app.test_request_context(path or "/", method=method) as context:
        ours = app.create_url_adapter(context.request)
        assert ours is not None
        theirs = app.url_map.bind_to_environ(context.request.environ)
        for adapter in (ours, theirs):
            adapter.path_info = path
        assert outcome_of(ours) == outcome_of(theirs)


def outcome_of(adapter: MapAdapter) -> object:
    """Return what a match returns, or the type and the status of what it raises."""
    try:
        return adapter.match(return_rule=True)
    except HTTPException as error:
        return type(error), error.code
