"""Flask, without what a JSON service does not have: sessions, hosts, and views that are coroutines."""

import time
from collections.abc import Callable, Iterable, Mapping
from functools import cache, cached_property
from http import HTTPStatus
from typing import Any, TypeVar, cast
from wsgiref.types import StartResponse, WSGIEnvironment

from flask import Flask, Request, Response
from flask.ctx import RequestContext
from flask.sessions import NullSession, SessionInterface
from flask.signals import appcontext_tearing_down, request_tearing_down
from flask.typing import AfterRequestCallable, BeforeRequestCallable, ResponseReturnValue
from werkzeug.datastructures import Headers
from werkzeug.http import http_date
from werkzeug.routing import MapAdapter, Rule

from vigilry_ingest.services import services_of
from vigilry_ingest.web.instrumentation import begin_span, record_response
from vigilry_ingest.web.request import REQUEST_ID_HEADER, IngestRequest, this_request

Hook = TypeVar("Hook")

_WARN_S = 14 * 86_400


class _NoSessions(SessionInterface):
    """Gives every request the same empty session, which says so when it is written to."""

    _session = NullSession()

    def open_session(self, app: Flask, request: Request) -> NullSession:  # noqa: ARG002  Flask's signature
        """Give the empty session."""
        return self._session


@cache
def status_line(status: int) -> str:
    """Write a status with its phrase as RFC 9110 does; werkzeug writes it in capitals."""
    return f"{status} {HTTPStatus(status).phrase}"


class RawResponse(Response):
    """A response to a POST that is complete when it is made, so that werkzeug need not go over it.

    ``Location`` stays the path that it is, as RFC 9110 allows. What runs on closing is for other responses.
    """

    def __init__(self, body: bytes, status: int, headers: list[tuple[str, str]]) -> None:
        # One by one: given all at once, they are looked through for lists of values first, for 2 µs.
        complete = Headers()
        for name, value in headers:
            complete.add(name, value)
        complete.add("Content-Length", str(len(body)))
        super().__init__(status=status, headers=complete)
        self.response = [body]

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:  # noqa: ARG002  WSGI's signature
        """Send the answer as it is."""
        start_response(status_line(self.status_code), self.headers.to_wsgi_list())
        return cast("list[bytes]", self.response)


def _warn_of_expiry(response: Response, expires_at: float) -> None:
    """Say, in its last two weeks, when the sender's key stops working (RFC 8594)."""
    if expires_at - time.time() < _WARN_S:
        response.headers.add("Sunset", http_date(expires_at))


class Application(Flask):
    """The WSGI application."""

    session_interface = _NoSessions()

    @cached_property
    def _plain_rules(self) -> dict[tuple[str, str], Rule]:
        """The rules whose paths have no variable part, by method and path."""
        return {
            (method, rule.rule): rule
            for rule in self.url_map.iter_rules()
            for method in rule.methods or ()
            # Flask asks the map itself what OPTIONS is to answer.
            if not rule.arguments and method != "OPTIONS"
        }

    def request_context(self, environ: WSGIEnvironment) -> RequestContext:
        """Make the context of a request; one whose path is a plain one is matched by a look into a table."""
        request = IngestRequest(environ, services_of(self))
        request.url_rule = self._plain_rules.get((request.method, request.path))
        request.view_args = {}
        return RequestContext(self, environ, request)

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Match by path and method alone, what is not matched yet: no route here depends on the host."""
        if request is None or request.url_rule is not None:
            return None
        return self.url_map.bind(
            "", path_info=request.path, default_method=request.method, script_name=request.root_path
        )

    def full_dispatch_request(self) -> Response:
        """Answer a request, without the signals that nobody here listens to."""
        request = this_request()
        begin_span(request)
        try:
            answer = self.preprocess_request()
            if answer is None:
                answer = self.dispatch_request()
        except Exception as error:
            answer = self.handle_user_exception(error)
        done = (
            self.process_response(answer)
            if isinstance(answer, RawResponse)
            else self.finalize_request(answer)
        )
        record_response(request, done)
        return done

    def preprocess_request(self) -> ResponseReturnValue | None:
        """Run the hooks before a view, from a table by endpoint instead of a search by blueprint."""
        rule = this_request().url_rule
        for hook in self._hooks_before[rule.endpoint] if rule else ():
            # In quotes: to make the union at every call took 16 µs.
            answer = cast("ResponseReturnValue | None", hook())
            if answer is not None:
                return answer
        return None

    @cached_property
    def _hooks_before(self) -> dict[str | None, list[BeforeRequestCallable]]:
        return self._by_endpoint(self.before_request_funcs)

    @cached_property
    def _hooks_after(self) -> dict[str | None, list[AfterRequestCallable[Any]]]:
        return self._by_endpoint(self.after_request_funcs)

    def _by_endpoint(self, hooks: Mapping[str | None, list[Hook]]) -> dict[str | None, list[Hook]]:
        """Give each endpoint the hooks of the application and of its blueprints; None is no endpoint."""
        table: dict[str | None, list[Hook]] = {None: list(hooks.get(None, ()))}
        for endpoint in self.view_functions:
            *blueprints, _view = endpoint.split(".")
            scopes = (None, *(".".join(blueprints[:depth]) for depth in range(1, len(blueprints) + 1)))
            table[endpoint] = [hook for scope in scopes for hook in hooks.get(scope, ())]
        return table

    def process_response(self, response: Response) -> Response:
        """Name the request in every answer; of Flask's own steps the hooks are left, where there are any.

        Where its endpoint has some: the pages' hook, asked for at every request, took 8 µs of each.
        """
        request = this_request()
        if self._hooks_after[request.url_rule.endpoint if request.url_rule else None]:
            response = super().process_response(response)
        response.headers.add(REQUEST_ID_HEADER, request.request_id)
        if request.caller is not None and (expires_at := request.caller.expires_at) is not None:
            _warn_of_expiry(response, expires_at)
        return response

    def do_teardown_request(self, exc: BaseException | None = None) -> None:
        """Clear up after a request, where there is something to clear up."""
        if self.teardown_request_funcs or request_tearing_down.receivers:
            super().do_teardown_request(exc)

    def do_teardown_appcontext(self, exc: BaseException | None = None) -> None:
        """Clear up after a context, where there is something to clear up."""
        if self.teardown_appcontext_funcs or appcontext_tearing_down.receivers:
            super().do_teardown_appcontext(exc)

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Take every view and hook for the plain function that it is."""
        return func
