"""The request, with the parts at hand and with what the hooks learned about it."""

import re
import time
from typing import cast
from wsgiref.types import WSGIEnvironment

from flask import Request, request

from vigilry_ingest.api_keys.lookup import Caller
from vigilry_ingest.domain.ids import new_ulid
from vigilry_ingest.observability.tracing import Span
from vigilry_ingest.services import Services

REQUEST_ID_HEADER = "X-Request-Id"

_REQUEST_ID_VARIABLE = "HTTP_X_REQUEST_ID"
_REQUEST_ID = re.compile(r"[0-9A-Za-z._:+/=@-]{1,128}", re.ASCII)


class IngestRequest(Request):
    """A request, with the parts at hand, and with what the hooks found out about it."""

    # Set by the key hook, before any view of /ingest; None for a request that it refused, or outside of it.
    caller = cast(Caller, None)
    # The size of the body as it was sent, once it was read.
    body_bytes: int | None = None
    # Its span, when requests are traced.
    span: Span | None = None
    # The word of its refusal, and what of ours failed, which is for the log alone.
    refusal = ""
    cause: BaseException | None = None

    def __init__(self, environ: WSGIEnvironment, parts: Services) -> None:
        super().__init__(environ)
        self.services = parts
        self.begun_at = time.perf_counter()
        # Of its own id and of its event's: two would cost another microsecond.
        self.ulid = new_ulid()
        given = environ.get(_REQUEST_ID_VARIABLE)
        # The sender's X-Request-Id when it is a plain one, else one made here.
        self.request_id: str = given if given and _REQUEST_ID.fullmatch(given) else f"req_{self.ulid}"


def this_request() -> IngestRequest:
    """Give the request that is being answered.

    Itself, and not flask's proxy to it: every look through the proxy takes a microsecond.
    """
    return cast(IngestRequest, request._get_current_object())  # type: ignore[attr-defined]  # a LocalProxy
