"""What the application class relies on inside Flask and werkzeug."""

import inspect
from typing import Any

import flask
import pytest
from flask import Flask, Response
from flask.ctx import RequestContext
from flask.globals import request_ctx
from flask.signals import request_tearing_down
from werkzeug.routing import MapAdapter

from vigilry_ingest.web.flask_app import Application, RawResponse


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        (Flask.create_url_adapter, ["self", "request"]),
        (Flask.preprocess_request, ["self"]),
        (Flask.process_response, ["self", "response"]),
        (Flask.do_teardown_request, ["self", "exc"]),
    ],
)
def test_the_overridden_methods_have_the_same_parameters(method: Any, parameters: list[str]) -> None:
    own = getattr(Application, method.__name__)
    assert own is not method
    for each in (method, own):
        assert list(inspect.signature(each).parameters) == parameters


def test_flask_matches_a_request_through_its_adapter_with_this_call_alone() -> None:
    calls: list[tuple[tuple[object, ...], dict[str, object]]] = []

    class Recording(MapAdapter):
        def match(self, *args: object, **options: object) -> object:  # type: ignore[override]
            calls.append((args, options))
            return super().match(*args, **options)  # type: ignore[call-overload]

    class Probe(Flask):
        def create_url_adapter(self, request: flask.Request | None) -> MapAdapter | None:
            adapter = super().create_url_adapter(request)
            if adapter is not None:
                adapter.__class__ = Recording
            return adapter

    app = Probe(__name__)
    app.add_url_rule("/path", view_func=lambda: "found")
    assert app.test_client().get("/path").text == "found"
    assert calls == [((), {"return_rule": True})]


def test_the_adapter_has_what_the_table_is_looked_up_by() -> None:
    app = Flask(__name__)
    with app.test_request_context("/a/path?x=1", method="PUT"):
        adapter = request_ctx.url_adapter
        assert adapter is not None
        assert (adapter.default_method, adapter.path_info) == ("PUT", "/a/path")


def test_a_request_context_holds_the_hooks_of_this_request() -> None:
    app = Flask(__name__)
    with app.test_request_context("/") as context:
        assert isinstance(context, RequestContext)
        assert context._after_request_functions == []
        assert request_ctx._get_current_object() is context  # type: ignore[attr-defined]
        flask.after_this_request(lambda response: response)
        assert len(context._after_request_functions) == 1


def test_hooks_are_kept_by_scope_and_signals_know_their_receivers() -> None:
    app = Flask(__name__)
    for hooks in (app.before_request_funcs, app.after_request_funcs, app.teardown_request_funcs):
        assert not hooks
    assert not app.url_value_preprocessors
    app.before_request(lambda: None)
    assert list(app.before_request_funcs) == [None]
    assert not request_tearing_down.receivers


def test_a_response_keeps_what_is_called_when_it_is_closed() -> None:
    response = Response("body")
    assert response._on_close == []
    response.call_on_close(lambda: None)
    assert len(response._on_close) == 1


def test_a_raw_response_has_the_same_attributes_as_one_of_werkzeugs_making() -> None:
    headers = [("Content-Type", "application/json"), ("Location", "/ingest/jobs/bull-1")]
    raw = RawResponse(b"{}", 202, headers)
    made = Response(b"{}", 202, headers)
    del made.headers["Content-Length"]
    made.headers.add("Content-Length", "2")
    assert vars(raw).keys() == vars(made).keys()
    assert raw.headers == made.headers
    assert (raw.status_code, raw.get_data()) == (made.status_code, made.get_data())
    assert raw._on_close == made._on_close
    raw.headers.add("X-Request-Id", "req_1")
    raw.status_code = 200
    assert (raw.status, raw.headers["X-Request-Id"]) == ("200 OK", "req_1")
