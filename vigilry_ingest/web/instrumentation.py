"""What is told of a request: it is counted and traced, and a refusal has a line in the log."""

import logging
import time
from typing import Any

from flask import Response

from vigilry_ingest.domain.event_kinds import kind_at
from vigilry_ingest.observability import metrics
from vigilry_ingest.observability.tracing import end_request
from vigilry_ingest.web.request import IngestRequest, this_request

_log = logging.getLogger(__name__)


def begin_span(request: IngestRequest) -> None:
    """Begin the span of a request that takes events, when they are traced; ``record_response`` ends it."""
    tracing = request.services.tracing
    if tracing is not None and request.url_rule is not None and request.method == "POST":
        name = f"POST {request.url_rule.rule}"
        request.span = tracing.begin_request(name, request.environ.get("HTTP_TRACEPARENT"))


def record_response(request: IngestRequest, answer: Response) -> None:
    """Count an answered request, and log it: refusals as info, failures of ours as warnings or errors.

    A request that was accepted is logged at debug only. No line holds a key, a payload or a message.
    """
    endpoint = request.url_rule.rule if request.url_rule else "none"
    status = answer.status_code
    seconds = time.perf_counter() - request.begun_at
    metrics.requests_by(endpoint, status, request.refusal).inc()
    metrics.request_seconds_by(endpoint).observe(seconds)
    if request.body_bytes is not None:
        metrics.body_bytes_by(endpoint).observe(request.body_bytes)
    level = logging.DEBUG
    if request.refusal:
        level = logging.INFO if status < 500 else logging.WARNING if status == 503 else logging.ERROR
        if (kind := kind_at(endpoint)) is not None:
            count_events(kind.name, "rejected" if status < 500 else "failed")
    if request.span is not None:
        end_request(request.span, endpoint=endpoint, status=status, refusal=request.refusal)
    if _log.isEnabledFor(level):
        _write_line(level, request, endpoint, status, seconds)


def count_events(kind: str, outcome: str, count: int = 1) -> None:
    """Count events of this request: accepted, duplicate, rejected, or failed."""
    metrics.events_by(kind, outcome).inc(count)
    request = this_request()
    if request.services.config.metrics_by_project == "on" and request.caller:
        metrics.project_events_by(request.caller.project_id, outcome).inc(count)


def _write_line(level: int, request: IngestRequest, endpoint: str, status: int, seconds: float) -> None:
    caller = request.caller
    fields: dict[str, Any] = {
        "requestId": request.request_id,
        "endpoint": endpoint,
        "status": status,
        "code": request.refusal or None,
        "projectId": caller.project_id if caller else None,
        "keyHint": caller.key_hint if caller else None,
        "durationMs": round(seconds * 1000, 3),
        "bytes": request.body_bytes,
        "reason": str(request.cause) if request.cause else None,
    }
    _log.log(
        level,
        "request refused" if request.refusal else "request answered",
        exc_info=request.cause if level == logging.ERROR else None,
        extra={name: value for name, value in fields.items() if value is not None},
    )
