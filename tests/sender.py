"""A sender of events, as the tests need one: it posts over HTTP, and reads back what was published."""

import json
from typing import Any

import httpx

from tests.servers.gunicorn import Service
from tests.servers.valkey import Valkey
from vigilry_ingest.ids import made_at_ms
from vigilry_ingest.keys.registry import Minted

EXAMPLES: dict[str, dict[str, Any]] = {
    "events": {
        "type": "checkout_failed",
        "severity": "ERROR",
        "message": "Payment gateway returned 402",
        "source": "checkout-service",
        "correlation": {"user_id": "usr_99", "order_id": "ord_4421"},
        "payload": {"gateway": "stripe", "code": "card_declined"},
    },
    "server-error": {
        "status_code": 500,
        "path": "/api/orders",
        "method": "POST",
        "error_message": "Cannot read properties of undefined",
        "stack": "TypeError: Cannot read properties of undefined\n  at processOrder (/app/orders.js:42:15)",
        "correlation": {"user_id": "usr_99", "order_id": "ord_4421"},
    },
    "webhook": {
        "source": "github",
        "event": "push",
        "severity": "INFO",
        "payload": {"ref": "refs/heads/main", "pusher": {"name": "alice"}},
    },
    "stripe": {
        "id": "evt_1ABC...",
        "type": "payment_intent.payment_failed",
        "data": {
            "object": {
                "id": "pi_1ABC...",
                "amount": 2999,
                "currency": "usd",
                "last_payment_error": {"code": "card_declined"},
            }
        },
    },
}


class Sender:
    """One project's sender; ``published`` gives what reached the broker, oldest first."""

    def __init__(self, service: Service, valkey: Valkey, minted: Minted) -> None:
        self.minted = minted
        self._valkey = valkey
        self.service = service
        self._client = service.client(timeout=15.0)

    def post(
        self, endpoint: str, body: Any = None, *, headers: dict[str, str] | None = None, key: str | None = ""
    ) -> httpx.Response:
        """Post to /ingest/<endpoint>: bytes as they are, anything else as JSON; with the project's key.

        Another ``key`` is sent instead, and none at all when it is None. A header that is given wins.
        """
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"Content-Type": "application/json"}
        if key is not None:
            sent["X-Api-Key"] = key or self.minted.api_key
        return self._client.post(f"/ingest/{endpoint}", content=content, headers=sent | (headers or {}))

    @property
    def http(self) -> httpx.Client:
        """Return the client itself, for requests of another form."""
        return self._client

    def published(self) -> list[dict[bytes, bytes]]:
        """Read back this project's entries, as bytes."""
        # Not what stood there before the project: the stream of a whole run would be read thousands of times.
        with self._valkey.client(decode_responses=False) as client:
            entries: Any = client.xrange("vigilry:{0}:events", min=made_at_ms(self.minted.project_id) or "-")
        project = self.minted.project_id.encode()
        return [fields | {b"_id": key} for key, fields in entries if fields.get(b"project_id") == project]

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def assert_refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Check that an answer is a problem (RFC 9457) of this status and word, and return it."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    problem: dict[str, Any] = answer.json()
    assert (answer.status_code, problem["status"], problem["code"]) == (status, status, code), problem
    assert problem["type"] == f"/docs/errors/{code}"
    assert problem["title"]
    assert problem["detail"]
    assert problem["requestId"] == answer.headers["x-request-id"]
    assert isinstance(problem["retryable"], bool)
    return problem
