"""The typed way from a request to the parts that were made at start-up, and to what the hooks found out."""

import re
import time
from dataclasses import dataclass
from typing import cast
from wsgiref.types import WSGIEnvironment

from flask import Flask, Request, current_app, request
from sqlalchemy import Engine

from vigilry_ingest.config import Config
from vigilry_ingest.ids import new_ulid
from vigilry_ingest.keys.lookup import Caller, KeyLookup
from vigilry_ingest.stream.publishing.publisher import Publisher
from vigilry_ingest.stream.servers.broker import Broker
from vigilry_ingest.tracing import Span, Tracing

REQUEST_ID_HEADER = "X-Request-Id"

_REQUEST_ID_VARIABLE = "HTTP_X_REQUEST_ID"
_NAME = "vigilry"
_REQUEST_ID = re.compile(r"[0-9A-Za-z._:+/=@-]{1,128}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Services:
    """The parts that requests share."""

    config: Config
    engine: Engine
    keys: KeyLookup
    broker: Broker
    publisher: Publisher
    # None unless VIGILRY_TRACING is on.
    tracing: Tracing | None = None


def attach(app: Flask, services: Services) -> None:
    """Give an application its parts."""
    app.extensions[_NAME] = services


def services_of(app: Flask) -> Services:
    """Give the parts of an application."""
    parts: Services = app.extensions[_NAME]
    return parts


def services() -> Services:
    """Give the parts of the current application."""
    return services_of(current_app)


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
