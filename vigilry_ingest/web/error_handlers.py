"""Error handlers: every exception becomes a problem (RFC 9457) with an error code."""

import difflib
from collections.abc import Mapping
from typing import Any

from flask import Flask, Response, current_app, json
from werkzeug.exceptions import HTTPException, InternalServerError, MethodNotAllowed, NotFound

from vigilry_ingest.api.problems import PROBLEM_TYPES, problem_of, problem_type_of
from vigilry_ingest.api.schemas.faults import InvalidEvent
from vigilry_ingest.api.schemas.json_object import MalformedJson
from vigilry_ingest.api.schemas.sentry_envelope import MalformedEnvelope
from vigilry_ingest.api_keys.admission import TooManyInvalidRequests
from vigilry_ingest.api_keys.cached_lookup import KeyStoreUnavailable
from vigilry_ingest.storage.engine import DatabaseError
from vigilry_ingest.stream.errors import RETRY_AFTER_S, BrokerError, RateLimited
from vigilry_ingest.web.auth import AuthError
from vigilry_ingest.web.batch_ingestion import NothingAccepted
from vigilry_ingest.web.decompression import CODINGS
from vigilry_ingest.web.flask_app import status_line
from vigilry_ingest.web.ingestion import IdempotencyKeyError
from vigilry_ingest.web.rate_limit_headers import quota_headers
from vigilry_ingest.web.request import this_request
from vigilry_ingest.web.request_body import BodyError, drain_after
from vigilry_ingest.webhooks.delivery import Unverified

_CODES_BY_STATUS = {404: "not_found", 405: "method_not_allowed", 413: "body_too_large"}
_KEY_CHALLENGE = 'ApiKey realm="ingest", header="X-Api-Key"'
_CHALLENGES = {
    "invalid_signature": 'Signature realm="hooks"',
    # RFC 6750, section 3.
    "missing_admin_key": 'Bearer realm="admin"',
    "invalid_admin_key": 'Bearer realm="admin", error="invalid_token"',
}
_MAX_POINTERS = 5
_MAX_PATH_LENGTH = 100


def problem(
    code: str,
    detail: str,
    *,
    status: int | None = None,
    members: Mapping[str, Any] | None = None,
    retry_after: int | None = None,
    cause: BaseException | None = None,
) -> Response:
    """Return an application/problem+json response with the standard members and further ones.

    Parameters:
        status: the HTTP status, by default that of the problem type
        retry_after: the value of Retry-After, in seconds
        cause: the exception behind the error; it is logged, and not sent
    """
    request = this_request()
    request.refusal, request.cause = code, cause
    status = status or problem_type_of(code).status
    body = problem_of(code, detail, request_id=request.request_id, instance=request.path)
    response = Response(
        json.dumps({**body, "status": status, **(members or {})}),
        status_line(status),
        content_type="application/problem+json",
    )
    drain_after(request, response)
    if status == 401:
        response.headers["WWW-Authenticate"] = _CHALLENGES.get(code, _KEY_CHALLENGE)
    if code == "unsupported_encoding":
        # RFC 9110, section 12.5.3.
        response.headers["Accept-Encoding"] = ", ".join(CODINGS)
    if retry_after is None and status == 503:
        retry_after = RETRY_AFTER_S
    if retry_after is not None:
        response.headers["Retry-After"] = str(retry_after)
    return response


def register_errors(app: Flask) -> None:
    """Register a handler for every exception that a view or hook may raise."""
    app.register_error_handler(
        AuthError, lambda error: problem(error.code, error.detail, status=error.status)
    )
    app.register_error_handler(Unverified, _unverified)
    app.register_error_handler(BodyError, lambda error: _invalid(error.code, error.detail))
    app.register_error_handler(MalformedJson, lambda error: _invalid("malformed_json", str(error)))
    app.register_error_handler(MalformedEnvelope, lambda error: _invalid("malformed_envelope", str(error)))
    app.register_error_handler(
        IdempotencyKeyError, lambda error: _invalid("invalid_idempotency_key", str(error))
    )
    app.register_error_handler(InvalidEvent, _invalid_event)
    app.register_error_handler(NothingAccepted, _nothing_accepted)
    app.register_error_handler(RateLimited, _rate_limited)
    app.register_error_handler(TooManyInvalidRequests, _too_many_invalid)
    app.register_error_handler(BrokerError, _broker_error)
    app.register_error_handler(KeyStoreUnavailable, _key_store_unavailable)
    app.register_error_handler(DatabaseError, _database_error)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _unexpected)


def _unverified(error: Unverified) -> Response:
    # The same response in every case, so that it does not reveal which sources exist.
    detail = "The URL is not that of a webhook source, or its secret did not sign this request."
    return problem("invalid_signature", detail, cause=error)


def _invalid_event(error: InvalidEvent) -> Response:
    detail, errors = listed_faults(error)
    return _invalid("invalid_event", detail, members={"errors": errors})


def listed_faults(error: InvalidEvent) -> tuple[str, list[dict[str, str]]]:
    """Return validation errors as a detail in words, and as the member ``errors`` of a problem."""
    errors = [fault._asdict() for fault in error.faults]
    # The empty pointer refers to the document itself.
    pointers = [each["pointer"] or "the body" for each in errors[:_MAX_POINTERS]]
    if len(errors) > _MAX_POINTERS:
        pointers.append("…")
    noun = "error" if len(errors) == 1 else "errors"
    return f"{len(errors)} validation {noun}: {', '.join(pointers)}", errors


def _nothing_accepted(error: NothingAccepted) -> Response:
    members = {"results": error.results}
    if error.limited is not None:
        return _limited(error.limited, str(error), members)
    return _invalid(error.code, str(error), members=members)


def _invalid(code: str, detail: str, *, members: Mapping[str, Any] | None = None) -> Response:
    """Return a problem for an invalid request, which counts if its body was read."""
    request = this_request()
    if request.body_bytes is not None and request.caller is not None:
        size = max(request.body_bytes, request.content_bytes)
        request.services.admission.note_invalid(request.caller, size)
    return problem(code, detail, members=members)


def _too_many_invalid(error: TooManyInvalidRequests) -> Response:
    detail = "Too many of the project's recent requests were invalid; this one was not read."
    return problem("too_many_invalid_requests", detail, retry_after=error.retry_after_s)


def _broker_error(error: BrokerError) -> Response:
    if error.retry_after is None:
        return problem(error.code, error.detail)
    return problem(error.code, error.detail, retry_after=error.retry_after, cause=error.__cause__ or error)


def _rate_limited(error: RateLimited) -> Response:
    return _limited(error, error.detail, {})


def _limited(error: RateLimited, detail: str, members: Mapping[str, Any]) -> Response:
    response = problem(error.code, detail, members=members, retry_after=error.retry_after)
    response.headers.extend(quota_headers(this_request().caller.quota, error))
    return response


def _key_store_unavailable(error: KeyStoreUnavailable) -> Response:
    return problem("key_store_unavailable", "The key cannot be checked at the moment.", cause=error)


def _database_error(error: DatabaseError) -> Response:
    return problem("event_store_unavailable", "Stored events cannot be looked up at the moment.", cause=error)


def _http_error(error: HTTPException) -> Response | HTTPException:
    """Return a problem with the exception's own status and headers."""
    if isinstance(error, InternalServerError) and error.original_exception is not None:
        return _unexpected(error.original_exception)
    status = error.code or 500
    if error.response is not None or status < 400:
        # It is a complete response already.
        return error
    is_server_error = status >= 500
    code = _CODES_BY_STATUS.get(status, "internal_error" if is_server_error else "bad_request")
    # A code that stands in for a whole class of statuses leaves the title to the exception.
    members = {} if status == PROBLEM_TYPES[code].status else {"title": error.name}
    response = problem(
        code,
        _detail_of(error),
        status=status,
        members=members,
        cause=error if is_server_error else None,
    )
    own_headers = [header for header in error.get_headers() if header[0] != "Content-Type"]
    for name, _value in own_headers:
        response.headers.remove(name)
    response.headers.extend(own_headers)
    return response


def _detail_of(error: HTTPException) -> str:
    """Return the exception's description, or for an unknown path the closest known one."""
    request = this_request()
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        return f"This path accepts {', '.join(sorted(error.valid_methods))}."
    if not isinstance(error, NotFound) or request.url_rule is not None:
        return error.description or error.name
    known = [rule.rule for rule in current_app.url_map.iter_rules() if not rule.arguments]
    close = difflib.get_close_matches(request.path[:_MAX_PATH_LENGTH], known, n=1)
    return f"There is nothing at this path.{f' Did you mean {close[0]}?' if close else ''}"


def _unexpected(error: BaseException) -> Response:
    detail = "The service failed unexpectedly; the event was not acknowledged."
    return problem("internal_error", detail, cause=error)
