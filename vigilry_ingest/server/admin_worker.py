"""The admin API's worker: threads that no client can keep by sending slowly or not at all."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from vigilry_ingest.server.workers import ProblemThreadWorker

# How long a client may take to send a request, and to close a connection that has ended.
_REQUEST_S = 10.0
_CLOSE_S = 2.0
_DISCARDED_BYTES = 4096


class AdminThreadWorker(ProblemThreadWorker):
    """Serves one request per thread, and reads from a client for a limited time.

    gunicorn waits for a request without a deadline, which would let a few unfinished ones stop the service
    before any key is checked.
    """

    def handle(self, conn: Any) -> Any:
        """Read and serve a request; return whether the connection is kept, or gunicorn's mark for later."""
        with _reading_within(conn.sock, _REQUEST_S):
            kept = super().handle(conn)
        if kept is False:
            # gunicorn would do this in the thread that accepts connections.
            _linger(conn.sock)
        return kept


@contextmanager
def _reading_within(sock: socket.socket, seconds: float) -> Iterator[None]:
    """End a socket's input after some seconds; what is sent on it is not affected."""
    timer = threading.Timer(seconds, _end_input, [sock])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _end_input(sock: socket.socket) -> None:
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RD)


def _linger(sock: socket.socket) -> None:
    """Wait until the client closes the connection too, so that it can read the response (RFC 9112, 9.6)."""
    with suppress(OSError), _reading_within(sock, _CLOSE_S):
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(_DISCARDED_BYTES):
            pass
    _end_input(sock)
