"""Cross-origin requests from browsers to the ingest endpoints (Fetch standard, CORS)."""

import re
from collections.abc import Sequence

from flask import Flask
from flask_cors import CORS

_ALLOWED_HEADERS = (
    "Content-Type", "Content-Encoding", "Idempotency-Key", "X-Api-Key", "X-Request-Id", "traceparent",
    "tracestate",
)  # fmt: skip
_EXPOSED_HEADERS = (
    "Idempotent-Replayed", "Location", "RateLimit", "RateLimit-Policy", "Retry-After", "Sunset",
    "Vigilry-Scrubbed", "X-Request-Id",
)  # fmt: skip
_DAY_S = 86_400


def allow_origins(app: Flask, origins: Sequence[str]) -> None:
    """Allow pages of these origins to send events, without cookies; ``*`` allows any origin."""
    CORS(
        app,
        resources={r"/ingest/.*": {}},
        origins=[_exactly(each) for each in origins],
        methods=["GET", "POST"],
        allow_headers=list(_ALLOWED_HEADERS),
        expose_headers=list(_EXPOSED_HEADERS),
        max_age=_DAY_S,
        supports_credentials=False,
        send_wildcard="*" in origins,
        # Requests without an Origin do not learn which origins are allowed.
        always_send=False,
    )


def _exactly(origin: str) -> str | re.Pattern[str]:
    """Return what makes flask-cors compare an origin exactly.

    It reads a text with brackets, such as ``http://[::1]``, as a regular expression for the beginning of an
    origin.
    """
    return origin if origin == "*" else re.compile(rf"{re.escape(origin)}\Z")
