"""Envelopes as SDKs write them, and how they are sent."""

import json
from typing import Any

import httpx

from tests.fixtures.sender import Sender

EVENT_ID = "9ec79c33ec9942ab8353589fcb2e04dc"
EVENT: dict[str, Any] = {
    "event_id": EVENT_ID,
    "level": "error",
    "platform": "python",
    "exception": {
        "values": [
            {"type": "KeyError", "value": "'cart'"},
            {
                "type": "CheckoutFailed",
                "value": "no cart",
                "stacktrace": {"frames": [{"function": "pay", "filename": "shop.py", "lineno": 42}]},
            },
        ]
    },
    "server_name": "web-1",
    "release": "shop@1.4.2",
    "environment": "live",
    "transaction": "/checkout",
    "user": {"id": 99},
    "tags": {"order_id": "ord_4421"},
    "contexts": {"trace": {"trace_id": "8c" * 16, "span_id": "ab" * 8}},
    "sdk": {"name": "sentry.python", "version": "2.75.0"},
}


def item(payload: Any, type_: str = "event", **header: Any) -> bytes:
    """Return an item; bytes are its payload as they are."""
    text = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return json.dumps({"type": type_} | header).encode() + b"\n" + text + b"\n"


def envelope(*items: bytes, **header: Any) -> bytes:
    """Return an envelope."""
    return json.dumps(header).encode() + b"\n" + b"".join(items)


def send(
    sender: Sender,
    body: bytes,
    *,
    form: str = "envelope",
    query: str = "",
    headers: dict[str, str] | None = None,
) -> httpx.Response:
    """Post to /api/1/envelope/ with the key where Python's SDK has it, or with other headers."""
    auth = f"Sentry sentry_key={sender.minted.api_key}, sentry_version=7, sentry_client=test/1.0"
    sent = {"X-Sentry-Auth": auth} if headers is None else headers
    return sender.http.post(f"/api/1/{form}/{query}", content=body, headers=sent)
