"""The four examples of the contract, word for word, and what they become on the stream."""

import json
import re
from typing import Any

import pytest

from tests.fixtures.sender import EXAMPLES, Sender


def entry_of(sender: Sender, endpoint: str) -> dict[str, Any]:
    """Send an endpoint's example and return the one entry that it became."""
    answer = sender.post(endpoint, EXAMPLES[endpoint])
    assert (answer.status_code, answer.reason_phrase) == (202, "Accepted"), answer.text
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert body.keys() == {"jobId", "status"}
    assert body["status"] == "queued"
    (entry,) = sender.published()
    milliseconds, sequence = entry.pop(b"_id").decode().split("-")
    assert body["jobId"] == f"bull-{int(milliseconds) * 1_000_000 + int(sequence)}"
    text = {name.decode(): value.decode() for name, value in entry.items()}
    assert text.pop("v") == "1"
    assert re.fullmatch(r"evt_[0-9A-HJKMNP-TV-Z]{26}", text.pop("id"))
    assert text.pop("project_id") == sender.minted.project_id
    assert text.pop("environment") == "production"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text.pop("received_at"))
    assert text.pop("request_id") == answer.headers["x-request-id"]
    return {
        name: json.loads(value) if name in ("payload", "correlation") else value
        for name, value in text.items()
    }


def test_a_custom_event_is_published_as_sent(sender: Sender) -> None:
    sent = EXAMPLES["events"]
    assert entry_of(sender, "events") == {"kind": "event", **sent}


def test_a_server_error_is_published_with_its_stack_read(sender: Sender) -> None:
    sent = EXAMPLES["server-error"]
    frame = {"function": "processOrder", "file": "/app/orders.js", "line": 42, "column": 15}
    assert entry_of(sender, "server-error") == {
        "kind": "server_error",
        "type": "server_error",
        "severity": "ERROR",
        "message": sent["error_message"],
        "correlation": sent["correlation"],
        "payload": {
            "status_code": 500,
            "method": "POST",
            "path": "/api/orders",
            "stack": sent["stack"],
            "exception": {"type": "TypeError", "value": sent["error_message"], "frames": [frame]},
        },
    }


def test_a_webhook_is_published_under_its_event_name(sender: Sender) -> None:
    assert entry_of(sender, "webhook") == {
        "kind": "webhook",
        "type": "push",
        "severity": "INFO",
        "source": "github",
        "message": "github push",
        "payload": EXAMPLES["webhook"]["payload"],
    }


def test_a_stripe_event_is_published_whole_and_as_an_error_when_a_payment_failed(sender: Sender) -> None:
    entry = entry_of(sender, "stripe")
    entry.pop("idempotency_key", None)
    assert entry == {
        "kind": "stripe",
        "type": "payment_intent.payment_failed",
        "severity": "ERROR",
        "source": "stripe",
        "message": "payment_intent.payment_failed",
        "payload": EXAMPLES["stripe"],
    }


@pytest.mark.parametrize(
    ("stripe_type", "severity"),
    [
        ("charge.failed", "ERROR"),
        ("invoice.payment_failed", "ERROR"),
        ("checkout.session.async_payment_failed", "ERROR"),
        ("charge.succeeded", "INFO"),
        ("payment_failed.later", "INFO"),
        ("charge.failed.x", "INFO"),
    ],
)
def test_stripe_types_map_to_severities(sender: Sender, stripe_type: str, severity: str) -> None:
    assert sender.post("stripe", {"type": stripe_type, "data": {}}).status_code == 202
    assert sender.published()[0][b"severity"].decode() == severity


@pytest.mark.parametrize(
    ("failed", "message"),
    [
        ({"last_payment_error": {"message": "Your card was declined."}}, "Your card was declined."),
        ({"failure_message": "Insufficient funds."}, "Insufficient funds."),
        ({"last_payment_error": None, "failure_message": "No."}, "No."),
        ({"last_payment_error": "text", "failure_message": 5}, None),
        ({"last_payment_error": {"message": None}}, None),
        ([], None),
        (None, None),
    ],
)
def test_the_failures_own_message_is_told(sender: Sender, failed: object, message: str | None) -> None:
    assert sender.post("stripe", {"type": "charge.failed", "data": {"object": failed}}).status_code == 202
    told = sender.published()[0][b"message"].decode()
    assert told == (f"charge.failed: {message}" if message else "charge.failed")


@pytest.mark.parametrize("endpoint", EXAMPLES)
def test_a_null_in_an_optional_field_means_absent(sender: Sender, endpoint: str) -> None:
    optional = {
        "events": {"source", "correlation", "payload"},
        "server-error": {"stack", "correlation"},
        "webhook": {"severity"},
        "stripe": {"id"},
    }[endpoint]
    whole = EXAMPLES[endpoint]
    without = {name: value for name, value in whole.items() if name not in optional}
    assert sender.post(endpoint, without).status_code == 202
    assert sender.post(endpoint, without | dict.fromkeys(optional)).status_code == 202
    first, second = sender.published()
    own = {b"_id", b"id", b"request_id", b"received_at", b"payload"}
    assert {name: value for name, value in first.items() if name not in own} == {
        name: value for name, value in second.items() if name not in own
    }


def test_the_request_id_and_traceparent_of_the_sender_are_kept(sender: Sender) -> None:
    traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    headers = {"X-Request-Id": "my-request.7", "traceparent": traceparent}
    answer = sender.post("events", EXAMPLES["events"], headers=headers)
    assert answer.headers["x-request-id"] == "my-request.7"
    (entry,) = sender.published()
    assert entry[b"request_id"] == b"my-request.7"
    assert entry[b"traceparent"] == traceparent.encode()


def test_an_unusable_request_id_or_traceparent_is_replaced_or_dropped(sender: Sender) -> None:
    headers = {"X-Request-Id": "x" * 129, "traceparent": "nonsense"}
    answer = sender.post("events", EXAMPLES["events"], headers=headers)
    assert answer.headers["x-request-id"].startswith("req_")
    assert b"traceparent" not in sender.published()[0]
