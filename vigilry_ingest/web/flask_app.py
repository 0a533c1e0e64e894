"""The Flask application class, with fast paths for JSON requests, and a response class for them."""

import re
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cache, cached_property
from http import HTTPStatus
from typing import Any, cast
from wsgiref.types import StartResponse, WSGIEnvironment

from flask import Flask, Request, Response
from flask.ctx import RequestContext
from flask.globals import request_ctx
from flask.sessions import NullSession, SessionInterface
from flask.signals import request_tearing_down
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException
from werkzeug.http import http_date
from werkzeug.routing import Map, MapAdapter, Rule

from vigilry_ingest.web.instrumentation import record_response
from vigilry_ingest.web.request import REQUEST_ID_HEADER, IngestRequest, this_request

Rules = Mapping[tuple[str, str], Rule]

# A variable of the default type, which is one part of a path.
_ONE_VARIABLE_AT_END = re.compile(r"([^<]*)/<\w+>")
_SUNSET_NOTICE_S = 14 * 86_400


class _NoSessions(SessionInterface):
    """A session interface whose sessions are always empty and cannot be written to."""

    _session = NullSession()

    def open_session(self, app: Flask, request: Request) -> NullSession:  # noqa: ARG002  Flask's signature
        """Return the empty session."""
        return self._session


@cache
def status_line(status: int) -> str:
    """Return a status code with its phrase in the case of RFC 9110; werkzeug writes it in capitals."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"{status} Unknown"


class RawResponse(Response):
    """A complete response to a POST, sent without the checks that werkzeug makes when sending.

    ``Location`` remains a path, as RFC 9110 allows.
    """

    def __init__(self, body: bytes, status: int, headers: list[tuple[str, str]]) -> None:
        # Without werkzeug's initialiser, which looks for a type, a charset and what to convert.
        self.headers = Headers()
        self.headers._list = [*headers, ("Content-Length", str(len(body)))]
        self.response = [body]
        self._status, self._status_code = status_line(status), status
        self._on_close = []
        self.direct_passthrough = False

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Send the response."""
        if self._on_close:
            return super().__call__(environ, start_response)
        start_response(self.status, self.headers.to_wsgi_list())
        return cast("list[bytes]", self.response)


class _TableFirstAdapter(MapAdapter):
    """A URL adapter that looks up most paths in tables, and leaves all others to werkzeug.

    One table has the paths without variables, the other what precedes a variable that is the last part of a
    path. Hosts and subdomains are ignored.
    """

    def __init__(self, url_map: Map, request: Request, static_rules: Rules, prefix_rules: Rules) -> None:
        super().__init__(
            url_map,
            request.environ.get("HTTP_HOST", ""),
            request.root_path,
            "",
            request.scheme,
            request.path,
            request.method,
            request.environ.get("QUERY_STRING"),
        )
        self._static_rules = static_rules
        self._prefix_rules = prefix_rules

    def match(self, *args: Any, **options: Any) -> Any:  # the supertype's is overloaded
        """Return the endpoint or rule of a request and its arguments, as werkzeug does."""
        # Flask's own call, and the only one without a path or method of its own.
        if options == {"return_rule": True} and not args:
            rule = self._static_rules.get((self.default_method, self.path_info))
            if rule is not None:
                return rule, {}
            prefix, _, last = self.path_info.rpartition("/")
            rule = self._prefix_rules.get((self.default_method, prefix))
            if rule is not None and last:
                (name,) = rule.arguments
                return rule, {name: last}
        return super().match(*args, **options)


@cache
def _scopes(endpoint: str | None) -> tuple[str | None, ...]:
    """Return the scopes of an endpoint's hooks: None for the application, then its blueprints' names."""
    *names, _ = (endpoint or "").split(".")
    return (None, *(".".join(names[: depth + 1]) for depth in range(len(names))))


class Application(Flask):
    """A Flask application with faster routing and hooks that records every response.

    Each override keeps the behaviour of Flask's method. tests/web/test_flask_contract.py checks what they
    rely on.
    """

    session_interface = _NoSessions()

    @cached_property
    def _static_rules(self) -> Rules:
        """The rules of paths without variables, by method and path.

        A rule that is added later is matched by werkzeug.
        """
        adapter = self.url_map.bind("")
        rules: dict[tuple[str, str], Rule] = {}
        for rule in self.url_map.iter_rules():
            for method in () if rule.arguments else rule.methods or ():
                # A rule may redirect, or only serve to build URLs.
                with suppress(HTTPException):
                    rules[method, rule.rule], _ = adapter.match(rule.rule, method, return_rule=True)
        return rules

    @cached_property
    def _prefix_rules(self) -> Rules:
        """The rules of paths that end with their only variable, by method and what precedes the variable."""
        return {
            (method, found[1]): rule
            for rule in self.url_map.iter_rules()
            if (found := _ONE_VARIABLE_AT_END.fullmatch(rule.rule)) is not None
            for method in rule.methods or ()
        }

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Return the URL adapter for a request; its host is not validated, because no route depends on it."""
        if request is None:
            return super().create_url_adapter(None)
        return _TableFirstAdapter(self.url_map, request, self._static_rules, self._prefix_rules)

    def preprocess_request(self) -> ResponseReturnValue | None:
        """Call the hooks that run before a view, and return the first response that is not None."""
        if self.url_value_preprocessors:
            return super().preprocess_request()
        for scope in _scopes(this_request().endpoint):
            for hook in self.before_request_funcs.get(scope, ()):
                # The type is quoted, because creating a union at each call is slow.
                response = cast("ResponseReturnValue | None", self.ensure_sync(hook)())
                if response is not None:
                    return response
        return None

    def process_response(self, response: Response) -> Response:
        """Call the hooks that run after a view, add the headers of every response, and record it.

        An exception raised by a hook is answered like one raised by a view.
        """
        context = cast(RequestContext, request_ctx._get_current_object())  # type: ignore[attr-defined]  # a LocalProxy
        request = cast(IngestRequest, context.request)
        scopes = _scopes(request.endpoint)
        if context._after_request_functions or not self.after_request_funcs.keys().isdisjoint(scopes):
            try:
                response = super().process_response(response)
            except Exception as error:
                response = self.make_response(self.handle_user_exception(error))
        response.headers.add(REQUEST_ID_HEADER, request.request_id)
        response.headers.add("X-Content-Type-Options", "nosniff")
        if request.caller is not None and (expires_at := request.caller.expires_at) is not None:
            _announce_expiry(response, expires_at)
        record_response(request, response)
        return response

    def do_teardown_request(self, exc: BaseException | None = None) -> None:
        """Call the teardown functions and signal receivers, if there are any."""
        if self.teardown_request_funcs or request_tearing_down.receivers:
            super().do_teardown_request(exc)


def _announce_expiry(response: Response, expires_at: float) -> None:
    """Add a Sunset header (RFC 8594) in the last two weeks of an API key; `expires_at` is Unix time."""
    if expires_at - time.time() < _SUNSET_NOTICE_S:
        response.headers.add("Sunset", http_date(expires_at))
