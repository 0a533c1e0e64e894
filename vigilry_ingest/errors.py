"""Every refusal, in one shape (RFC 9457, problem details) and with one machine word each."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from flask import Flask, Response, json
from werkzeug.exceptions import HTTPException

from vigilry_ingest.auth import AuthError
from vigilry_ingest.batch import NothingAccepted
from vigilry_ingest.body import BodyError, drain_after
from vigilry_ingest.db.session import DatabaseError
from vigilry_ingest.decompression import CODINGS
from vigilry_ingest.keys.lookup import KeyStoreUnavailable
from vigilry_ingest.quota import quota_headers
from vigilry_ingest.receipt import IdempotencyKeyError
from vigilry_ingest.schemas.fields import InvalidEvent
from vigilry_ingest.schemas.json_object import MalformedJson
from vigilry_ingest.services import this_request
from vigilry_ingest.stream.errors import RETRY_AFTER_S, PublishError, RateLimited


class Refusal(NamedTuple):
    """What a word means: its HTTP status, its title, and whether the same request may succeed later."""

    status: int
    title: str
    retryable: bool = False


REFUSALS = {
    "missing_api_key": Refusal(401, "No API key"),
    "invalid_api_key": Refusal(401, "Invalid API key"),
    "malformed_json": Refusal(400, "Not a JSON object"),
    "invalid_event": Refusal(400, "The event does not fit the schema"),
    "invalid_idempotency_key": Refusal(400, "Unusable idempotency key"),
    "invalid_encoding": Refusal(400, "Body cannot be decompressed"),
    "incomplete_body": Refusal(400, "Incomplete body"),
    "bad_request": Refusal(400, "Bad request"),
    "not_found": Refusal(404, "Not found"),
    "method_not_allowed": Refusal(405, "Method not allowed"),
    "body_too_large": Refusal(413, "Body too large"),
    "batch_too_large": Refusal(413, "Batch too large"),
    "unsupported_media_type": Refusal(415, "Unsupported media type"),
    "unsupported_encoding": Refusal(415, "Unsupported content encoding"),
    "idempotency_key_reused": Refusal(422, "Idempotency key reused"),
    "rate_limited": Refusal(429, "Too many events", retryable=True),
    "internal_error": Refusal(500, "Internal error", retryable=True),
    "broker_unavailable": Refusal(503, "Broker unavailable", retryable=True),
    "broker_timeout": Refusal(503, "Broker did not answer in time", retryable=True),
    "stream_full": Refusal(503, "Stream full", retryable=True),
    "broker_out_of_memory": Refusal(503, "Broker out of memory", retryable=True),
    "broker_read_only": Refusal(503, "Broker is read-only", retryable=True),
    "broker_loading": Refusal(503, "Broker is loading", retryable=True),
    "broker_primary_down": Refusal(503, "Broker has lost its primary", retryable=True),
    "broker_cluster_down": Refusal(503, "Broker cluster is down", retryable=True),
    "broker_cannot_persist": Refusal(503, "Broker cannot persist", retryable=True),
    "broker_not_durable": Refusal(503, "Not durable yet", retryable=True),
    "broker_refused": Refusal(503, "Broker refused", retryable=True),
    "event_store_unavailable": Refusal(503, "Event store unavailable", retryable=True),
    "key_store_unavailable": Refusal(503, "Key store unavailable", retryable=True),
}

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
    refusal = REFUSALS[code]
    request = this_request()
    request.refusal, request.cause = code, cause
    body = {
        "type": f"/docs/errors/{code}",
        "title": refusal.title,
        "status": refusal.status,
        "detail": detail,
        "instance": request.path,
        "code": code,
        "retryable": refusal.retryable,
        "requestId": request.request_id,
    }
    answer = Response(
        json.dumps(body | dict(members or {})), refusal.status, content_type="application/problem+json"
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
    app.register_error_handler(PublishError, _publish_error)
    app.register_error_handler(KeyStoreUnavailable, _key_store_unavailable)
    app.register_error_handler(DatabaseError, _database_error)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _unexpected)


def _invalid_event(error: InvalidEvent) -> Response:
    where = ", ".join(fault.pointer for fault in error.faults[:5])
    errors = [fault._asdict() for fault in error.faults]
    return problem(
        "invalid_event", f"{len(errors)} to mend: {where}; see errors.", members={"errors": errors}
    )


def _nothing_accepted(error: NothingAccepted) -> Response:
    return problem("invalid_event", str(error), members={"results": error.results})


def _publish_error(error: PublishError) -> Response:
    if error.retry_after is None:
        return problem(error.code, error.detail)
    return problem(error.code, error.detail, retry_after=error.retry_after, cause=error.__cause__ or error)


def _rate_limited(error: RateLimited) -> Response:
    answer = problem(error.code, error.detail, retry_after=error.retry_after)
    answer.headers.extend(quota_headers(this_request().caller.quota, 0, error.reset_s))
    return answer


def _key_store_unavailable(error: KeyStoreUnavailable) -> Response:
    return problem("key_store_unavailable", "The key cannot be checked at the moment.", cause=error)


def _database_error(error: DatabaseError) -> Response:
    return problem("event_store_unavailable", "Stored events cannot be looked up at the moment.", cause=error)


def _http_error(error: HTTPException) -> Response:
    status = error.code or 500
    answer = problem(_HTTP_WORDS.get(status, "bad_request"), error.description or "")
    for name, value in error.get_headers():
        if name == "Allow":
            answer.headers[name] = value
    return answer


def _unexpected(error: Exception) -> Response:
    return problem(
        "internal_error", "Something went wrong here; the event was not acknowledged.", cause=error
    )
