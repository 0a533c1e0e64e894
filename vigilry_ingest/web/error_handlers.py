"""Every refusal, in one shape (RFC 9457, problem details) and with one machine word each."""

import difflib
from collections.abc import Mapping
from typing import Any

from flask import Flask, Response, current_app, json
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from vigilry_ingest.api.problems import PROBLEM_TYPES, problem_of
from vigilry_ingest.api.schemas.faults import InvalidEvent
from vigilry_ingest.api.schemas.json_object import MalformedJson
from vigilry_ingest.api_keys.lookup import KeyStoreUnavailable
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

_HTTP_WORDS = {404: "not_found", 405: "method_not_allowed", 413: "body_too_large"}


def problem(
    code: str,
    detail: str,
    *,
    members: Mapping[str, Any] | None = None,
    retry_after: int | None = None,
    cause: BaseException | None = None,
) -> Response:
    """Answer a refusal as application/problem+json, with members of its own besides those that all have.

    `cause` is what of ours failed; the log tells of it, and the sender is not told.
    """
    refusal = PROBLEM_TYPES[code]
    request = this_request()
    request.refusal, request.cause = code, cause
    body = problem_of(code, detail, request_id=request.request_id, instance=request.path)
    answer = Response(
        json.dumps(body | dict(members or {})),
        status_line(refusal.status),
        content_type="application/problem+json",
    )
    drain_after(answer)
    if refusal.status == 401:
        answer.headers["WWW-Authenticate"] = 'ApiKey realm="ingest", header="X-Api-Key"'
    if code == "unsupported_encoding":
        # RFC 9110, section 12.5.3: what would have been taken.
        answer.headers["Accept-Encoding"] = ", ".join(CODINGS)
    if retry_after is None and refusal.status == 503:
        retry_after = RETRY_AFTER_S
    if retry_after is not None:
        answer.headers["Retry-After"] = str(retry_after)
    return answer


def register_errors(app: Flask) -> None:
    """Answer every exception that leaves a view or a hook."""
    app.register_error_handler(AuthError, lambda error: problem(error.code, error.detail))
    app.register_error_handler(BodyError, lambda error: problem(error.code, error.detail))
    app.register_error_handler(MalformedJson, lambda error: problem("malformed_json", str(error)))
    app.register_error_handler(
        IdempotencyKeyError, lambda error: problem("invalid_idempotency_key", str(error))
    )
    app.register_error_handler(InvalidEvent, _invalid_event)
    app.register_error_handler(NothingAccepted, _nothing_accepted)
    app.register_error_handler(RateLimited, _rate_limited)
    app.register_error_handler(BrokerError, _publish_error)
    app.register_error_handler(KeyStoreUnavailable, _key_store_unavailable)
    app.register_error_handler(DatabaseError, _database_error)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _unexpected)


def _invalid_event(error: InvalidEvent) -> Response:
    errors = [fault._asdict() for fault in error.faults]
    where = ", ".join(each["pointer"] for each in errors[:5])
    return problem(
        "invalid_event", f"{len(errors)} to mend: {where}; see errors.", members={"errors": errors}
    )


def _nothing_accepted(error: NothingAccepted) -> Response:
    members = {"results": error.results}
    if error.limited is not None:
        return _limited(error.limited, str(error), members)
    return problem(error.code, str(error), members=members)


def _publish_error(error: BrokerError) -> Response:
    if error.retry_after is None:
        return problem(error.code, error.detail)
    return problem(error.code, error.detail, retry_after=error.retry_after, cause=error.__cause__ or error)


def _rate_limited(error: RateLimited) -> Response:
    return _limited(error, error.detail, {})


def _limited(error: RateLimited, detail: str, members: Mapping[str, Any]) -> Response:
    answer = problem(error.code, detail, members=members, retry_after=error.retry_after)
    answer.headers.extend(quota_headers(this_request().caller.quota, error))
    return answer


def _key_store_unavailable(error: KeyStoreUnavailable) -> Response:
    return problem("key_store_unavailable", "The key cannot be checked at the moment.", cause=error)


def _database_error(error: DatabaseError) -> Response:
    return problem("event_store_unavailable", "Stored events cannot be looked up at the moment.", cause=error)


def _http_error(error: HTTPException) -> Response:
    status = error.code or 500
    answer = problem(_HTTP_WORDS.get(status, "bad_request"), _detail_of(error))
    for name, value in error.get_headers():
        if name == "Allow":
            answer.headers[name] = value
    return answer


def _detail_of(error: HTTPException) -> str:
    """Say what is wrong with an address, and which one may have been meant; werkzeug speaks to a browser."""
    request = this_request()
    if isinstance(error, MethodNotAllowed):
        return f"This address takes {', '.join(sorted(error.valid_methods or ()))}."
    if not isinstance(error, NotFound) or request.url_rule is not None:
        return error.description or ""
    known = [rule.rule for rule in current_app.url_map.iter_rules() if not rule.arguments]
    close = difflib.get_close_matches(request.path[:100], known, n=1)
    return f"There is nothing at this address.{f' Did you mean {close[0]}?' if close else ''}"


def _unexpected(error: Exception) -> Response:
    return problem(
        "internal_error", "Something went wrong here; the event was not acknowledged.", cause=error
    )
