"""gunicorn's gevent worker, with each answer sent in one write."""

import socket
import time
from contextlib import suppress
from typing import Any

from gevent import getcurrent
from gunicorn import util
from gunicorn.http import wsgi
from gunicorn.workers.base_async import AsyncWorker
from gunicorn.workers.ggevent import GeventWorker

from vigilry_ingest.server.workers import ProblemResponses

# Longer than deploy/nginx.conf keeps an idle connection, so that no request of nginx's meets a closed one.
_MAX_WHEN_STOPPING_S = 3.0


class _WholeResponse(wsgi.Response):  # type: ignore[misc]  # gunicorn's is Any
    """A response whose head waits for the first of its body."""

    headers_sent: bool

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._head = b""

    def send_headers(self) -> None:
        """Write the head down; it goes out with what comes next."""
        if not self.headers_sent:
            lines = [*self.default_headers(), *(f"{name}: {value}\r\n" for name, value in self.headers)]
            self._head = "".join((*lines, "\r\n")).encode("latin-1")
            self.headers_sent = True

    def _emit_body(self, data: bytes) -> None:
        head, self._head = self._head, b""
        if self.chunked:
            data, head = head + b"%x\r\n%b\r\n" % (len(data), data), b""
        util.write(self.sock, head + data)

    def sendfile(self, respiter: Any) -> bool:  # noqa: ARG002  gunicorn's signature
        """Leave files to the slow way: those of the documentation are few, and kept by browsers."""
        return False

    def close(self) -> None:
        """Send what has not gone out yet: the head of an empty answer, or the end of a chunked one."""
        self.send_headers()
        rest, self._head = self._head, b""
        if self.chunked:
            rest += b"0\r\n\r\n"
        if rest:
            util.write(self.sock, rest)


class _WholeAnswers(ProblemResponses, AsyncWorker):  # type: ignore[misc]  # gunicorn's is Any
    alive: bool

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> None:
        """Answer one request.

        Raises StopIteration when the connection is to be closed after it.
        """
        resp, environ = wsgi.create(req, sock, addr, listener_name, self.cfg, _WholeResponse)
        environ["wsgi.multithread"] = True
        self._count()
        if not self.alive:
            resp.force_close()
        body = self.wsgi(environ, resp.start_response)
        try:
            for part in body:
                resp.write(part)
            resp.close()
        finally:
            if hasattr(body, "close"):
                body.close()
        if resp.should_close():
            raise StopIteration

    def _count(self) -> None:
        self.nr += 1
        if self.nr >= self.max_requests and self.alive:
            self.log.info("Autorestarting worker after current request.")
            self.alive = False


class _Connection:
    """A sender's connection, and since when it has been waiting for a request."""

    __slots__ = ("_client", "_waits_since")

    def __init__(self, client: Any) -> None:
        self._client = client
        self._waits_since: float | None = None

    def __enter__(self) -> None:
        self._waits_since = time.monotonic()

    def __exit__(self, *_error: object) -> None:
        self._waits_since = None

    def close_if_idle(self, longest_s: float) -> None:
        """Take no further request when none has come for so long; one that has arrived is still answered."""
        if self._waits_since is not None and time.monotonic() - self._waits_since > longest_s:
            with suppress(OSError):
                self._client.shutdown(socket.SHUT_RD)


class WebWorker(GeventWorker, _WholeAnswers):  # type: ignore[misc]  # gunicorn's is Any
    """The gevent worker; a request is answered by the class behind it.

    gunicorn sends the head and the body of an answer in a packet each. In one, a request was measured to
    take 30 µs less of the server's 400 µs of CPU, and whoever waits for it wakes up once instead of twice. A
    timer for each request, against idle connections, took another 10 µs: here they are looked at once a
    second. A worker that is stopping waits for them no longer than it must.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._connections: dict[object, _Connection] = {}

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        """Answer the requests of one connection."""
        self._connections[getcurrent()] = _Connection(client)
        try:
            super().handle(listener, client, addr)
        finally:
            del self._connections[getcurrent()]

    def timeout_ctx(self) -> _Connection:
        """Give what gunicorn waits for the next request in."""
        return self._connections[getcurrent()]

    def notify(self) -> None:
        """Tell gunicorn's master that this worker lives, once a second, and close what is idle."""
        super().notify()
        longest_s = self.cfg.keepalive if self.alive else _MAX_WHEN_STOPPING_S
        for connection in list(self._connections.values()):
            connection.close_if_idle(longest_s)
