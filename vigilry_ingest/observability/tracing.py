"""W3C trace contexts, and OpenTelemetry spans when tracing is on.

OpenTelemetry is imported only when tracing is on. Spans contain no keys, payloads or messages.
"""

import re
import time
from collections.abc import Sequence
from typing import Any

from vigilry_ingest.config.settings import ConfigError
from vigilry_ingest.domain.handler import Delivered, Handler

# https://www.w3.org/TR/trace-context/#traceparent-header, version 00; all-zero ids are invalid.
_TRACEPARENT = re.compile(
    r"00-(?!0{32})(?P<trace>[0-9a-f]{32})-(?!0{16})(?P<span>[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})", re.ASCII
)
_SAMPLED = 1

# OpenTelemetry's classes are not available without the extra.
Span = Any


def checked_traceparent(header: str | None) -> str | None:
    """Return a traceparent if it is valid, and None otherwise; requests are not rejected for it."""
    return header if header and _TRACEPARENT.fullmatch(header) else None


def traceparent_of(span: Span) -> str:
    """Return the context of a span as a traceparent."""
    context = span.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"


def end_request(span: Span, *, endpoint: str, status: int, refusal: str) -> None:
    """End a request's span, following OpenTelemetry's semantic conventions for HTTP servers."""
    from opentelemetry.trace import StatusCode

    span.set_attribute("http.request.method", "POST")
    span.set_attribute("http.route", endpoint)
    span.set_attribute("http.response.status_code", status)
    if refusal:
        span.set_attribute("error.type", refusal)
    if status >= 500:
        span.set_status(StatusCode.ERROR)
    span.end()


def make_tracing() -> "Tracing":
    """Enable tracing in this process; OpenTelemetry's ``OTEL_*`` variables configure the exporter.

    Call it after a fork, as it starts the exporter's thread. Raises ConfigError without the extra.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"VIGILRY_TRACING=on needs {error.name}, which is missing: install vigilry-ingest[tracing]"
        ) from None
    named = Resource.create({SERVICE_NAME: "vigilry-ingest"}).merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=named)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Tracing(provider)


class Tracing:
    """Makes the spans of requests and of handled events."""

    def __init__(self, provider: Any) -> None:
        self._tracer = provider.get_tracer("vigilry_ingest")

    def begin_request(self, name: str, traceparent: str | None) -> Span:
        """Start a request's span, in the sender's trace if its traceparent is valid."""
        from opentelemetry.trace import SpanKind

        return self._tracer.start_span(name, context=_context(traceparent), kind=SpanKind.SERVER)

    def around(self, handler: Handler, group: str) -> Handler:
        """Wrap a worker's handler to record a span for each event that belongs to a sampled trace.

        All spans of a call have its start and end, as the handler gets its events in batches.
        """

        def traced(events: Sequence[Delivered]) -> None:
            start_ns = time.time_ns()
            try:
                handler(events)
            except Exception as error:
                self._record_spans(events, group, start_ns, type(error).__name__)
                raise
            self._record_spans(events, group, start_ns, None)

        return traced

    def _record_spans(
        self, events: Sequence[Delivered], group: str, start_ns: int, error: str | None
    ) -> None:
        from opentelemetry.trace import SpanKind, StatusCode

        end_ns = time.time_ns()
        for event in events:
            if not _is_sampled(event.traceparent):
                continue
            span = self._tracer.start_span(
                f"process {event.kind}",
                context=_context(event.traceparent),
                kind=SpanKind.CONSUMER,
                start_time=start_ns,
                # https://opentelemetry.io/docs/specs/semconv/messaging/
                attributes={
                    "messaging.system": "redis",
                    "messaging.operation.type": "process",
                    "messaging.consumer.group.name": group,
                    "messaging.message.id": event.job_id,
                    "vigilry.event.id": event.id,
                    "vigilry.project.id": event.project_id,
                    "vigilry.attempts": event.attempts,
                },
            )
            if error is not None:
                span.set_attribute("error.type", error)
                span.set_status(StatusCode.ERROR)
            span.end(end_ns)


def _is_sampled(traceparent: str | None) -> bool:
    return traceparent is not None and bool(int(traceparent[-2:], 16) & _SAMPLED)


def _context(traceparent: str | None) -> Any:
    from opentelemetry.context import Context
    from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

    match = _TRACEPARENT.fullmatch(traceparent or "")
    if match is None:
        # Not the current context, which under gevent may be that of another request.
        return Context()
    parent = SpanContext(
        int(match["trace"], 16), int(match["span"], 16), is_remote=True,
        trace_flags=TraceFlags(int(match["flags"], 16)),
    )  # fmt: skip
    return set_span_in_context(NonRecordingSpan(parent), Context())
