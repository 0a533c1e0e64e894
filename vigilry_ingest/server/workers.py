"""gunicorn's sync and thread workers, and how each worker answers what is not HTTP."""

import json
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from gunicorn import util
from gunicorn.http import errors
from gunicorn.workers.gthread import ThreadWorker
from gunicorn.workers.sync import SyncWorker

from vigilry_ingest.api.problems import PROBLEM_TYPES, problem_of
from vigilry_ingest.domain.ids import new_id

_STATUSES = {
    errors.LimitRequestLine: HTTPStatus.REQUEST_URI_TOO_LONG,
    errors.LimitRequestHeaders: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    errors.ExpectationFailed: HTTPStatus.EXPECTATION_FAILED,
}
_SERVER_FAULTS = (errors.InvalidResponseHeader, errors.InvalidResponseHeaderName, errors.ConfigurationProblem)
_MAX_DETAIL_LENGTH = 300


class MissingHost(errors.ParseException):  # type: ignore[misc]  # gunicorn's is Any
    """An HTTP/1.1 request has no Host header (RFC 9112, section 3.2)."""

    def __str__(self) -> str:
        return "The Host header is missing."


def require_host(request: Any) -> None:
    """Check that a request which gunicorn has parsed has a Host header; HTTP/1.0 does not need one.

    Raises MissingHost.
    """
    if request.version >= (1, 1) and not any(name == "HOST" for name, _ in request.headers):
        raise MissingHost


class ProblemResponses:
    """A worker that answers with a problem (RFC 9457) what never reaches the application."""

    log: Any

    def handle_error(self, _req: Any, client: Any, _addr: Any, error: BaseException) -> None:
        """Answer a request that cannot be parsed, or that the server failed on."""
        request_id = new_id("req")
        if isinstance(error, errors.ParseException) and not isinstance(error, _SERVER_FAULTS):
            status = _STATUSES.get(type(error), HTTPStatus.BAD_REQUEST)
            code, detail = "bad_request", str(error)[:_MAX_DETAIL_LENGTH]
            self.log.info("request refused", extra={"code": code, "status": status, "requestId": request_id})
        else:
            status = HTTPStatus.INTERNAL_SERVER_ERROR
            code, detail = "internal_error", PROBLEM_TYPES["internal_error"].cause
            self.log.error("server failed", exc_info=error, extra={"requestId": request_id})
        with suppress(OSError):
            util.write_nonblock(client, _problem(status, code, detail, request_id))


def _problem(status: HTTPStatus, code: str, detail: str, request_id: str) -> bytes:
    body = json.dumps(problem_of(code, detail, request_id=request_id) | {"status": status}).encode()
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nConnection: close\r\nX-Request-Id: {request_id}\r\n"
        "X-Content-Type-Options: nosniff\r\n"
        f"Content-Type: application/problem+json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class ProblemSyncWorker(ProblemResponses, SyncWorker):  # type: ignore[misc]  # gunicorn's is Any
    """Serves one request at a time."""

    def handle_request(self, listener: Any, req: Any, client: Any, addr: Any) -> None:
        """Serve a request that has been parsed."""
        require_host(req)
        super().handle_request(listener, req, client, addr)


class ProblemThreadWorker(ProblemResponses, ThreadWorker):  # type: ignore[misc]  # gunicorn's is Any
    """Serves one request per thread."""

    def handle_request(self, req: Any, conn: Any) -> bool:
        """Serve a request that has been parsed; return whether the connection is kept."""
        require_host(req)
        is_kept: bool = super().handle_request(req, conn)
        return is_kept
