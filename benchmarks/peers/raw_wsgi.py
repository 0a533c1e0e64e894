"""A raw WSGI callable: the cost of gunicorn alone."""

from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIEnvironment

_ANSWER = b'{"jobId":"bull-1795429837634000000","status":"queued"}'


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Read the body, and return a constant response."""
    environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    status = "202 ACCEPTED" if environ["REQUEST_METHOD"] == "POST" else "200 OK"
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(_ANSWER)))])
    return [_ANSWER]
