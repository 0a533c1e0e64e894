"""A server of another, to which what is tested posts: a chat, a collector of traces."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self


class Answer(NamedTuple):
    """What a post is answered with."""

    status: int
    headers: Mapping[str, str] = {}
    body: bytes = b""


class Listener(ABC):
    """Take posts on a free port of 127.0.0.1, as a context manager."""

    def __init__(self) -> None:
        listener = self

        class Door(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                """Take a post."""
                body = self.rfile.read(int(self.headers["Content-Length"]))
                answer = listener.take(body, dict(self.headers))
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @abstractmethod
    def take(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Take a post, and return what to answer."""

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
