"""gunicorn's gevent worker with a short way for plain requests, and a deadline for receiving each request."""

import os
import time
from collections.abc import Iterable
from io import BufferedReader, BytesIO
from typing import Any, BinaryIO

from gunicorn import http, util
from gunicorn.http.wsgi import base_environ
from gunicorn.workers import ggevent

from vigilry_ingest.server.connection import Connection, PendingBody
from vigilry_ingest.server.plain_request import Head, NotPlain, parse_head
from vigilry_ingest.server.plain_response import PlainResponse
from vigilry_ingest.server.workers import ProblemResponses, require_host

# Upper bound in seconds on discarding what gunicorn's reader has left of a body.
_DISCARD_S = 5.0
# How long an idle connection is kept while the worker stops: longer than deploy/nginx.conf keeps one, so that
# no request from nginx meets a closed connection.
_IDLE_WHEN_STOPPING_S = 3.0


class WebWorker(ProblemResponses, ggevent.GeventWorker):  # type: ignore[misc]  # gunicorn's is Any
    """Serves a plain request with one receive, one parse and one send.

    What is not plain goes through gunicorn's own reader and writer, with the bytes that have arrived: chunked
    bodies, Expect, Upgrade, HTTP/1.0, percent-encoded paths, large bodies, and whatever has to be refused. A
    response is sent when it is complete, so an application that fails midway is still answered 500. Receiving
    a request is bounded in time: connections are checked once a second, which costs a request no timer.
    """

    alive: bool
    nr: int

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._connections: set[Connection] = set()
        self._base_environ = base_environ(self.cfg) | {"wsgi.multithread": True, "SCRIPT_NAME": ""}
        self._has_short_way = _has_short_way(self.cfg)

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        """Serve the requests of one connection."""
        if not self._has_short_way:
            super().handle(listener, client, addr)
            return
        connection = Connection(client)
        self._connections.add(connection)
        try:
            client.setblocking(1)
            self._serve(connection, listener.getsockname(), addr)
        except OSError as error:
            self.log.debug("Connection lost: %s", error)
        except Exception as error:
            self.handle_error(None, client, addr, error)
        finally:
            self._connections.discard(connection)
            util.close(client)

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> None:
        """Serve a request that gunicorn has parsed."""
        require_host(req)
        super().handle_request(listener_name, req, sock, addr)

    def _serve(self, connection: Connection, server: Any, addr: Any) -> None:
        name = server if isinstance(server, str) else server[:2]
        peer = addr[:2] if isinstance(addr, tuple) else None
        rest: bytes | None = b""
        while rest is not None:
            received = rest or connection.receive(is_receiving=False)
            try:
                head = _receive_head(connection, received, name, peer)
            except NotPlain as error:
                rest = self._serve_by_gunicorn(connection, server, addr, error.received)
                continue
            if head is None:
                return
            rest = self._serve_plainly(connection, head)

    def _serve_plainly(self, connection: Connection, head: Head) -> bytes | None:
        """Serve a plain request; return what has arrived behind it, or None to close the connection."""
        environ = head.environ
        environ.update(self._base_environ)
        environ["wsgi.input"], pending = _open_body(connection, head)
        self._count()
        is_last = not self.alive or environ.get("HTTP_CONNECTION", "").lower() == "close"
        self._respond(connection, environ, pending, is_last=is_last)
        if is_last:
            return None
        return head.received[head.end :] if pending is None else pending.discard_rest()

    def _respond(
        self, connection: Connection, environ: dict[str, Any], pending: PendingBody | None, *, is_last: bool
    ) -> None:
        response = PlainResponse()
        parts: Iterable[bytes] = self.wsgi(environ, response)
        try:
            response.parts.extend(parts)
            is_last = is_last or (pending is not None and pending.has_ended)
            connection.send(response.to_bytes(is_last=is_last))
        finally:
            if hasattr(parts, "close"):
                parts.close()

    def _serve_by_gunicorn(
        self, connection: Connection, server: Any, addr: Any, received: bytes
    ) -> bytes | None:
        """Serve one request by gunicorn's reader and writer; return what ``_serve_plainly`` does."""
        connection.begin_waiting(is_receiving=True)
        parser = http.get_parser(self.cfg, connection.client, addr)
        parser.unreader.unread(received)
        try:
            request = next(parser)
            self.handle_request(server, request, connection.client, addr)
        except (StopIteration, http.errors.NoMoreData):
            return None
        if request.should_close() or not parser.finish_body(deadline=time.monotonic() + _DISCARD_S):
            return None
        connection.end_waiting()
        rest: bytes = parser.unreader.take_buffered()
        return rest

    def _count(self) -> None:
        self.nr += 1
        if self.nr >= self.max_requests and self.alive:
            self.log.info("Autorestarting worker after current request.")
            self.alive = False

    def notify(self) -> None:
        """Report to the arbiter, once a second, that this worker is alive, and close overdue connections."""
        super().notify()
        idle_s = self.cfg.keepalive if self.alive else _IDLE_WHEN_STOPPING_S
        for connection in list(self._connections):
            connection.close_if_overdue(idle_s)


def _receive_head(connection: Connection, received: bytes, server: Any, peer: Any) -> Head | None:
    """Receive the head of a request; None when the connection ends before it does. Raises NotPlain."""
    while received:
        head = parse_head(received, server, peer)
        if head is not None:
            return head
        more = connection.receive(is_receiving=True)
        received = received + more if more else b""
    return None


def _open_body(connection: Connection, head: Head) -> tuple[BinaryIO, PendingBody | None]:
    """Return the body as a file, and what receives the rest of it if it has not arrived in full."""
    if head.end <= len(head.received):
        connection.end_waiting()
        return BytesIO(head.received[head.length : head.end]), None
    pending = PendingBody(connection, head.received[head.length :], head.body_length)
    return BufferedReader(pending), pending


def _has_short_way(cfg: Any) -> bool:
    """Return whether gunicorn's settings are those under which the short way gives the same result."""
    return bool(
        cfg.keepalive
        and not cfg.is_ssl
        and cfg.proxy_protocol == "off"
        and cfg.http2_cleartext == "off"
        and cfg.protocol == "http"
        and cfg.header_map == "drop"
        and not cfg.secure_scheme_headers
        and not cfg.forwarder_headers
        and not cfg.accesslog
        and not cfg.casefold_http_method
        and not cfg.strip_header_spaces
        and "SCRIPT_NAME" not in os.environ
    )
