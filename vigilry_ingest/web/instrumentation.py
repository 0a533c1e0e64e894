"""Request metrics, spans and log lines."""

import logging
import time
from typing import Any

from flask import Response

from vigilry_ingest.domain.event_kinds import kind_at
from vigilry_ingest.observability import metrics
from vigilry_ingest.observability.tracing import end_request
from vigilry_ingest.web.request import EventCount, IngestRequest, this_request

_log = logging.getLogger(__name__)


def begin_span() -> None:
    """Begin a span for a POST request: a before_request hook; ``record_response`` ends the span."""
    request = this_request()
    tracing = request.services.tracing
    if tracing is not None and request.url_rule is not None and request.method == "POST":
        name = f"POST {request.url_rule.rule}"
        request.span = tracing.begin_request(name, request.environ.get("HTTP_TRACEPARENT"))


def record_response(request: IngestRequest, response: Response) -> None:
    """Record a response in the metrics, the request's span and the log.

    Success is logged at debug, a client error at info, and a server error at warning or error. No line
    contains an API key, a payload or a message.
    """
    endpoint = request.url_rule.rule if request.url_rule else "none"
    status = response.status_code
    seconds = time.perf_counter() - request.begun_at
    metrics.requests_by(endpoint, status, request.refusal).inc()
    metrics.request_seconds_by(endpoint).observe(seconds)
    if request.body_bytes is not None:
        metrics.body_bytes_by(endpoint).observe(request.body_bytes)
    _count_events(request, endpoint, status)
    if request.span is not None:
        end_request(request.span, endpoint=endpoint, status=status, refusal=request.refusal)
    level = _level_for(request, status)
    if _log.isEnabledFor(level):
        _write_line(level, request, endpoint, status, seconds)


def _count_events(request: IngestRequest, endpoint: str, status: int) -> None:
    counts = request.event_counts
    if not counts and request.refusal and (kind := kind_at(endpoint)) is not None:
        # The request failed before there was an event.
        counts = (EventCount(kind.name, "rejected" if status < 500 else "failed"),)
    by_project = request.services.config.metrics_by_project == "on" and request.caller is not None
    for kind_name, outcome, events in counts:
        metrics.events_by(kind_name, outcome).inc(events)
        if by_project:
            metrics.project_events_by(request.caller.project_id, outcome).inc(events)


def _level_for(request: IngestRequest, status: int) -> int:
    if not request.refusal:
        return logging.DEBUG
    if status < 500:
        return logging.INFO
    return logging.WARNING if status == 503 else logging.ERROR


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
