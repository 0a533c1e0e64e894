"""All event types of GitHub and Stripe, with bodies up to the size limit."""

import inspect
import json
import re
import time
from pathlib import Path

import pytest
from stripe.params import WebhookEndpointCreateParams

from tests.webhooks.deliveries import CASES, JSON, Delivery, hex_hmac
from tests.webhooks.fixtures import NewReceiver

pytestmark = pytest.mark.one_database

# https://docs.github.com/en/webhooks/webhook-events-and-payloads, read in November 2026.
GITHUB_EVENTS = Path(__file__).with_name("github_events.txt").read_text("ascii").split()


def stripe_event_types() -> list[str]:
    """Return the event types that Stripe's own library knows."""
    source = Path(inspect.getfile(WebhookEndpointCreateParams)).read_text("utf-8")
    return sorted(set(re.findall(r'^\s+"([a-z0-9_.]+)",$', source, re.MULTILINE)))


def padded(event: dict[str, object], size: int) -> bytes:
    """Return an event as JSON of a size."""
    text = json.dumps(event | {"padding": ""})
    return json.dumps(event | {"padding": "x" * (size - len(text))}).encode()


def test_all_events_of_github_are_taken_up_to_a_mebibyte(new_receiver: NewReceiver) -> None:
    case = CASES["github"]
    receiver = new_receiver(case)
    assert len(GITHUB_EVENTS) > 60
    for number, event in enumerate(GITHUB_EVENTS):
        size = 1024 * 1024 if number % 10 == 0 else 4000
        body = padded({"action": "created", "repository": {"full_name": "a/b"}, "sender": {"id": 1}}, size)
        headers = {
            "X-GitHub-Event": event,
            "X-GitHub-Delivery": f"delivery-{number}",
            "X-Hub-Signature-256": f"sha256={hex_hmac(case.secret, body)}",
        }
        answer = receiver.send(Delivery(JSON | headers, body))
        assert answer.status_code == 202, (event, answer.text)
    assert [entry[b"type"].decode() for entry in receiver.published()] == GITHUB_EVENTS


def test_all_events_of_stripe_are_taken_up_to_a_mebibyte(new_receiver: NewReceiver) -> None:
    case = CASES["stripe"]
    receiver = new_receiver(case)
    types = stripe_event_types()
    assert len(types) > 240
    for number, type_ in enumerate(types):
        size = 1024 * 1024 if number % 50 == 0 else 3000
        body = padded(
            {"id": f"evt_{number}", "object": "event", "type": type_, "data": {"object": {"id": "x"}}}, size
        )
        now = int(time.time())
        signature = f"t={now},v1={hex_hmac(case.secret, b'%d.' % now + body)}"
        answer = receiver.send(Delivery(JSON | {"Stripe-Signature": signature}, body))
        assert answer.status_code == 202, (type_, answer.text)
    entries = receiver.published()
    assert [entry[b"type"].decode() for entry in entries] == types
    assert {entry[b"kind"] for entry in entries} == {b"stripe"}
