"""A server that keeps what SDKs post to it."""

import base64
import gzip
import json
import re
import threading
import zlib
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from tests.sentry.corpus import Recorded

_KEPT_HEADERS = ("Content-Type", "Content-Encoding", "X-Sentry-Auth")
_CLIENT = re.compile(r"sentry_client=([^,&\s]+)")
_DECODERS: Mapping[str, Callable[[bytes], bytes]] = {"gzip": gzip.decompress, "deflate": zlib.decompress}


class Listener:
    """Accept posts on a free port of 127.0.0.1 and answer 200, as a context manager."""

    def __init__(self, key: str) -> None:
        listener = self
        self.requests: list[Recorded] = []

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_OPTIONS(self) -> None:
                """Allow any page."""
                self._answer(b"")

            def do_POST(self) -> None:
                """Keep a request."""
                listener.requests.append(_recorded(self, self._body()))
                self._answer(b"{}")

            def _body(self) -> bytes:
                if "chunked" not in self.headers.get("Transfer-Encoding", ""):
                    return self.rfile.read(int(self.headers.get("Content-Length", 0)))
                chunks = []
                while size := int(self.rfile.readline(), 16):
                    chunks.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(chunks)

            def _answer(self, body: bytes) -> None:
                self.send_response(200)
                self.send_header("Access-Control-Allow-Origin", "*")
                self.send_header("Access-Control-Allow-Headers", "content-type, x-sentry-auth")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Log nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.dsn = f"http://{key}@127.0.0.1:{self._server.server_port}/1"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _recorded(handler: BaseHTTPRequestHandler, body: bytes) -> Recorded:
    path = urlsplit(handler.path)
    headers = {name: handler.headers[name] for name in _KEPT_HEADERS if name in handler.headers}
    decode = _DECODERS.get(headers.get("Content-Encoding", ""))
    body = decode(body) if decode else body
    form = path.path.strip("/").rpartition("/")[2]
    # The zlib format in base64.
    in_base64 = form == "store" and body.startswith(b"eJ")
    if in_base64:
        body = zlib.decompress(base64.b64decode(body))
    sdk = _sdk(path.query, headers, body)
    return Recorded(sdk, form, path.query, headers, body, in_base64=in_base64)


def _sdk(query: str, headers: dict[str, str], body: bytes) -> str:
    found = _CLIENT.search(headers.get("X-Sentry-Auth", "") or query)
    if found:
        return unquote(found[1])
    sdk = json.loads(body.partition(b"\n")[0]).get("sdk") or {}
    return f"{sdk.get('name')}/{sdk.get('version')}"
