"""A raw WSGI callable: what gunicorn takes by itself."""

from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIEnvironment

_ANSWER = b'{"jobId":"bull-1795429837634000000","status":"queued"}'


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Read the body, and answer a constant."""
    environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    status = "202 ACCEPTED" if environ["REQUEST_METHOD"] == "POST" else "200 OK"
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(_ANSWER)))])
    return [_ANSWER]
