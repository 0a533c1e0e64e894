"""A server of another, to which what is tested posts: a chat, a collector of traces."""

import threading
from abc import ABC, abstractmethod
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class Listener(ABC):
    """Take posts on a free port of 127.0.0.1, as a context manager."""

    def __init__(self) -> None:
        listener = self

        class Door(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                """Take a post."""
                self.send_response(listener.take(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @abstractmethod
    def take(self, body: bytes) -> int:
        """Take the body of a post, and return the status to answer with."""

    @property
    def address(self) -> str:
        """Return the address, without a final slash."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5.0)
