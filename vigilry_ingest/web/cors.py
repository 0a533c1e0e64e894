"""Browser senders: which pages of other origins may call the ingest endpoints (Fetch standard, CORS)."""

from collections.abc import Sequence

from flask import Flask
from flask_cors import CORS

_SENT = (
    "Content-Type", "Content-Encoding", "Idempotency-Key", "X-Api-Key", "X-Request-Id", "traceparent",
    "tracestate",
)  # fmt: skip
_SHOWN = (
    "Idempotent-Replayed", "Location", "RateLimit", "RateLimit-Policy", "Retry-After", "Sunset",
    "X-Request-Id",
)  # fmt: skip
_DAY_S = 86_400


def allow_origins(app: Flask, origins: Sequence[str]) -> None:
    """Let the pages of these origins send events; ``*`` is any. Cookies are never part of it."""
    CORS(
        app,
        resources={r"/ingest/.*": {}},
        origins=list(origins),
        methods=["GET", "POST"],
        allow_headers=list(_SENT),
        expose_headers=list(_SHOWN),
        max_age=_DAY_S,
        supports_credentials=False,
        send_wildcard="*" in origins,
        # Nobody without an Origin is told which ones are allowed.
        always_send=False,
    )
