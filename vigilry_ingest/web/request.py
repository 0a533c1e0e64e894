"""The request class: Flask's request with the application's services and what hooks and views record."""

import re
import time
from collections.abc import Sequence
from typing import NamedTuple, cast
from wsgiref.types import WSGIEnvironment

from flask import Request, request

from vigilry_ingest.api_keys.lookup import Caller
from vigilry_ingest.domain.ids import new_ulid
from vigilry_ingest.observability.tracing import Span
from vigilry_ingest.services import Services

REQUEST_ID_HEADER = "X-Request-Id"

_REQUEST_ID_VARIABLE = "HTTP_X_REQUEST_ID"
_REQUEST_ID = re.compile(r"[0-9A-Za-z._:+/=@-]{1,128}", re.ASCII)


class EventCount(NamedTuple):
    """The number of events of a kind with an outcome: accepted, duplicate, rejected or failed."""

    kind: str
    outcome: str
    events: int = 1


class IngestRequest(Request):
    """A request; instances come from a subclass made by ``request_class_for``.

    Attributes:
        services: what the application's requests share
        begun_at: ``time.perf_counter()`` at the start, in seconds
        ulid: the ULID of the request's own id and of the id of its event
        request_id: the sender's X-Request-Id if it is valid, else ``req_`` and the ULID
        caller: set by ``require_key``; None before it, and outside /ingest
        body: the body as sent, if it was read before the view; else None
        body_bytes: the size of the body on the wire; None until it is read
        content_bytes: the size of the body once it is decompressed
        scrubbed_values: how many values were replaced in the request's events
        event_counts: what became of the request's events, for the metrics
        span: the request's span, if it is traced
        refusal: the error code of the response; empty for success
        cause: the exception behind an error response; for the log only
    """

    services: Services
    caller = cast(Caller, None)
    body: bytes | None = None
    body_bytes: int | None = None
    content_bytes = 0
    scrubbed_values = 0
    event_counts: Sequence[EventCount] = ()
    span: Span | None = None
    refusal = ""
    cause: BaseException | None = None

    def __init__(self, environ: WSGIEnvironment) -> None:
        super().__init__(environ)
        self.begun_at = time.perf_counter()
        self.ulid = new_ulid()
        sent_id = environ.get(_REQUEST_ID_VARIABLE)
        self.request_id: str = sent_id if sent_id and _REQUEST_ID.fullmatch(sent_id) else f"req_{self.ulid}"


def request_class_for(services: Services) -> type[IngestRequest]:
    """Return a request class for an application with these services."""

    class BoundRequest(IngestRequest):
        pass

    BoundRequest.services = services
    return BoundRequest


def this_request() -> IngestRequest:
    """Return the current request, unwrapped from Flask's proxy, which is slow to access repeatedly."""
    return cast(IngestRequest, request._get_current_object())  # type: ignore[attr-defined]  # a LocalProxy
