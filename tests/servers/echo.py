"""A stand-in WSGI application that answers with the request that reached it, for the tests of nginx."""

import hashlib
import json
from collections.abc import Callable, Iterable
from typing import Any


def app(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    """Answer any request with its headers and its body's SHA-256, as JSON; X-Answer asks for a status."""
    body = environ["wsgi.input"].read()
    headers = {name: value for name, value in environ.items() if name.startswith(("HTTP_", "CONTENT_"))}
    start_response(environ.get("HTTP_X_ANSWER", "200") + " As told", [("Content-Type", "application/json")])
    answer = {"headers": headers, "bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}
    return [json.dumps(answer).encode()]
