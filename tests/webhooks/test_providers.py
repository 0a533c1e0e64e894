"""Each provider: what it signs is stored as its declaration says, and nothing else is."""

import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import stripe as stripe_library
from standardwebhooks import Webhook, WebhookVerificationError

from tests.fixtures.sender import assert_refused
from tests.webhooks.deliveries import CASES, STANDARD_SECRET, Case, Delivery, delivery_of, hex_hmac
from tests.webhooks.fixtures import NewReceiver, Receiver
from vigilry_ingest.webhooks.providers import PROVIDER_NAMES

NAMES = list(CASES)
pytestmark = pytest.mark.one_database


def text(entry: dict[bytes, bytes], field: str) -> str:
    """Return a field of an entry."""
    return entry[field.encode()].decode()


def assert_unverified(receiver: Receiver, answer: httpx.Response) -> None:
    """Check that a delivery was refused, and that nothing was published."""
    problem = assert_refused(answer, 401, "invalid_signature")
    assert not problem["retryable"]
    assert answer.headers["www-authenticate"] == 'Signature realm="hooks"'
    assert receiver.published() == []


def flipped(data: bytes, position: int) -> bytes:
    """Return data with one byte changed to another letter or digit."""
    other = b"b" if data[position : position + 1] == b"a" else b"a"
    return data[:position] + other + data[position + 1 :]


def test_every_provider_has_a_case() -> None:
    assert {case.provider for case in CASES.values()} == set(PROVIDER_NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_signed_delivery_is_stored_as_the_provider_s_declaration_says(
    new_receiver: NewReceiver, name: str
) -> None:
    case = CASES[name]
    receiver = new_receiver(case)
    delivery = delivery_of(case, receiver.url)
    answer = receiver.send(delivery)
    assert answer.status_code == 202, answer.text
    (entry,) = receiver.published()
    assert answer.json() == {"jobId": answer.json()["jobId"], "status": "queued"}
    assert {field: text(entry, field) for field in case.event} == case.event
    assert text(entry, "kind") == case.event.get("kind", "webhook")
    assert text(entry, "project_id") == receiver.source.project_id
    assert text(entry, "environment") == "production"
    if delivery.headers["Content-Type"] == "application/json":
        assert entry[b"payload"] == delivery.body
    if name != "stripe":
        assert json.loads(entry[b"correlation"])["source_id"] == receiver.source.id


@pytest.mark.parametrize("name", [name for name in NAMES if CASES[name].has_id])
def test_a_repeated_delivery_is_stored_once(new_receiver: NewReceiver, name: str) -> None:
    case = CASES[name]
    receiver = new_receiver(case)
    first = receiver.send(delivery_of(case, receiver.url, id_="d1", now=time.time() - 20))
    again = receiver.send(delivery_of(case, receiver.url, id_="d1"))
    other = receiver.send(delivery_of(case, receiver.url, id_="d2"))
    assert [answer.status_code for answer in (first, again, other)] == [202, 202, 202]
    assert again.json()["jobId"] == first.json()["jobId"]
    assert again.headers["idempotent-replayed"] == "true"
    assert len(receiver.published()) == 2


@pytest.mark.parametrize("name", [name for name in NAMES if CASES[name].verifies_body])
def test_one_changed_byte_of_the_body_is_refused(new_receiver: NewReceiver, name: str) -> None:
    case = CASES[name]
    receiver = new_receiver(case)
    delivery = delivery_of(case, receiver.url)
    for position in range(0, len(delivery.body), 7):
        changed = replace(delivery, body=flipped(delivery.body, position))
        assert_unverified(receiver, receiver.send(changed))
    assert_unverified(receiver, receiver.send(replace(delivery, body=delivery.body + b" ")))


@pytest.mark.parametrize("name", NAMES)
def test_one_changed_byte_of_the_signature_is_refused(new_receiver: NewReceiver, name: str) -> None:
    case = CASES[name]
    receiver = new_receiver(case)
    delivery = delivery_of(case, receiver.url)
    header = case.required[-1] if name in ("standard", "svix", "ed25519") else case.required[0]
    value = delivery.headers[header].encode()
    # Of Stripe's header the last part is of another version.
    end = len(value) if name != "stripe" else value.index(b",v0=")
    for position in range(end - 8, end - 3):
        changed = delivery.headers | {header: flipped(value, position).decode()}
        assert_unverified(receiver, receiver.send(replace(delivery, headers=changed)))


@pytest.mark.parametrize("name", NAMES)
def test_the_secret_of_another_source_is_refused(new_receiver: NewReceiver, name: str) -> None:
    case = CASES[name]
    receiver = new_receiver(case)
    other = "whsec_" + "b3RoZXI=" if case.secret.startswith("whsec_") else "b3RoZXI="
    other = "user:other" if ":" in case.secret else other
    assert_unverified(receiver, receiver.send(delivery_of(case, receiver.url, secret=other)))


@pytest.mark.parametrize("name", [name for name in NAMES if CASES[name].has_timestamp])
@pytest.mark.parametrize("offset", [-400, 400, -1_000_000_000, 10**11])
def test_an_old_or_a_future_timestamp_is_refused(new_receiver: NewReceiver, name: str, offset: int) -> None:
    case = CASES[name]
    receiver = new_receiver(case)
    assert_unverified(receiver, receiver.send(delivery_of(case, receiver.url, now=time.time() + offset)))


@pytest.mark.parametrize("name", [name for name in NAMES if CASES[name].has_timestamp and name != "linear"])
def test_a_fresh_timestamp_beside_an_old_signature_is_refused(new_receiver: NewReceiver, name: str) -> None:
    case = CASES[name]
    receiver = new_receiver(case)
    now = int(time.time())
    old = delivery_of(case, receiver.url, now=now - 1000)
    refreshed = {header: value.replace(str(now - 1000), str(now)) for header, value in old.headers.items()}
    assert refreshed != old.headers
    assert_unverified(receiver, receiver.send(replace(old, headers=refreshed)))


@pytest.mark.parametrize("name", [name for name in NAMES if CASES[name].signs_id])
def test_another_id_beside_a_signature_is_refused(new_receiver: NewReceiver, name: str) -> None:
    case = CASES[name]
    receiver = new_receiver(case)
    delivery = delivery_of(case, receiver.url)
    changed = delivery.headers | {case.signs_id: "another"}
    assert_unverified(receiver, receiver.send(replace(delivery, headers=changed)))


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_an_empty_or_a_repeated_header_is_refused(new_receiver: NewReceiver, name: str) -> None:
    case = CASES[name]
    receiver = new_receiver(case)
    delivery = delivery_of(case, receiver.url)
    for header in case.required:
        without = {other: value for other, value in delivery.headers.items() if other != header}
        assert_unverified(receiver, receiver.send(replace(delivery, headers=without)))
        assert_unverified(receiver, receiver.send(replace(delivery, headers=without | {header: ""})))
        doubled = [*delivery.headers.items(), (header, delivery.headers[header])]
        path = f"{receiver.path}?{delivery.query}" if delivery.query else receiver.path
        answer = receiver.sender.http.post(path, content=delivery.body, headers=doubled)
        assert_unverified(receiver, answer)


@pytest.mark.parametrize("name", NAMES)
def test_odd_values_of_headers_are_refused_without_a_failure(new_receiver: NewReceiver, name: str) -> None:
    case = CASES[name]
    receiver = new_receiver(case)
    delivery = delivery_of(case, receiver.url)
    for header in case.required:
        for value in (
            b"\xff\xfe",
            b"t=,v1=",
            b"v1," * 2000,
            b"t=9" + b"9" * 400 + b",v1=a",
            b"v1a,!",
            b"v1a,\xc3\xa9",
            b"{}",
            b",",
        ):
            headers: list[tuple[Any, Any]] = [
                (other.encode(), kept.encode()) for other, kept in delivery.headers.items() if other != header
            ]
            headers.append((header.encode(), value))
            answer = receiver.sender.http.post(receiver.path, content=delivery.body, headers=headers)
            # A name that is not signed may be anything that is printable.
            if answer.status_code != 202:
                assert_refused(answer, 401, "invalid_signature")
            else:
                assert value == b"{}"
                assert header in ("X-GitHub-Event", "X-GitHub-Delivery", "X-Gitlab-Event", "X-Shopify-Topic",
                                  "X-Shopify-Event-Id", "Sentry-Hook-Resource", "Request-ID",
                                  "Linear-Delivery", "X-Event", "X-Id")  # fmt: skip


def test_what_stripe_s_own_library_signs_is_taken_and_what_it_refuses_is_refused(
    new_receiver: NewReceiver,
) -> None:
    case = CASES["stripe"]
    receiver = new_receiver(case)
    now = int(time.time())
    body = delivery_of(case, receiver.url).body.decode()
    for at, secret in ((now, case.secret), (now - 400, case.secret), (now, "whsec_other")):
        signature = stripe_library.WebhookSignature._compute_signature(f"{at}.{body}", secret)
        header = f"t={at},v1={signature}"
        try:
            stripe_library.Webhook.construct_event(body.encode(), header, case.secret)
            expected = 202
        except stripe_library.SignatureVerificationError:
            expected = 401
        headers = {"Content-Type": "application/json", "Stripe-Signature": header}
        assert receiver.send(Delivery(headers, body.encode())).status_code == expected


def test_what_the_standard_library_signs_is_taken_and_what_it_refuses_is_refused(
    new_receiver: NewReceiver,
) -> None:
    receiver = new_receiver(CASES["standard"])
    webhook = Webhook(STANDARD_SECRET)
    body = '{"type":"a.b","data":{}}'
    for age in (0, 200, 400, -400):
        at = datetime.now(UTC) - timedelta(seconds=age)
        headers = {
            "webhook-id": f"msg_{age}",
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": webhook.sign(f"msg_{age}", at, body),
        }
        try:
            webhook.verify(body, headers)
            expected = 202
        except WebhookVerificationError:
            expected = 401
        delivery = Delivery({"Content-Type": "application/json"} | headers, body.encode())
        assert receiver.send(delivery).status_code == expected


def test_slack_s_handshake_is_answered_with_its_challenge_and_not_stored(new_receiver: NewReceiver) -> None:
    case = CASES["slack"]
    receiver = new_receiver(case)
    body = b'{"type":"url_verification","challenge":"3eZbrw1a\\u00df"}'
    signed = _slack_with(case, body)
    answer = receiver.send(signed)
    assert (answer.status_code, answer.json()) == (200, {"challenge": "3eZbrw1aß"})
    assert_unverified(receiver, receiver.send(replace(signed, body=body + b" ")))


def _slack_with(case: Case, body: bytes) -> Delivery:
    now = int(time.time())
    signature = f"v0={hex_hmac(case.secret, f'v0:{now}:'.encode() + body)}"
    headers = {"X-Slack-Request-Timestamp": str(now), "X-Slack-Signature": signature}
    return Delivery({"Content-Type": "application/json"} | headers, body)


def test_a_form_becomes_an_object_of_its_fields(new_receiver: NewReceiver) -> None:
    case = CASES["twilio"]
    receiver = new_receiver(case)
    assert receiver.send(delivery_of(case, receiver.url)).status_code == 202
    (entry,) = receiver.published()
    assert json.loads(entry[b"payload"]) == {
        "MessageSid": "SM1", "MessageStatus": "failed", "ErrorCode": "30007", "Body": "Grüße & mehr",
    }  # fmt: skip


def test_the_form_of_github_becomes_its_event_unchanged(new_receiver: NewReceiver) -> None:
    receiver = new_receiver(CASES["github form"])
    assert receiver.send(delivery_of(CASES["github form"], receiver.url)).status_code == 202
    (entry,) = receiver.published()
    assert entry[b"payload"] == delivery_of(CASES["github"], receiver.url).body


def test_a_source_s_severities_override_the_provider_s_rule(new_receiver: NewReceiver) -> None:
    case = CASES["github"]
    receiver = new_receiver(case, severities={"workflow_run.completed": "CRITICAL"}, name="ci")
    assert receiver.send(delivery_of(case, receiver.url)).status_code == 202
    (entry,) = receiver.published()
    assert (text(entry, "severity"), text(entry, "source")) == ("CRITICAL", "ci")
    assert text(entry, "message") == "github workflow_run.completed: a/b"
    receiver = new_receiver(CASES["stripe"], severities={"charge.failed": "WARN"})
    assert receiver.send(delivery_of(CASES["stripe"], receiver.url)).status_code == 202
    assert text(receiver.published()[0], "severity") == "WARN"


def test_stripe_s_event_is_the_same_by_either_endpoint_and_stored_once(new_receiver: NewReceiver) -> None:
    case = CASES["stripe"]
    receiver = new_receiver(case)
    delivery = delivery_of(case, receiver.url)
    sent = receiver.sender.post("stripe", delivery.body)
    again = receiver.send(delivery)
    assert sent.json()["jobId"] == again.json()["jobId"]
    assert len(receiver.published()) == 1


def test_a_verified_body_that_is_no_json_object_is_a_400_that_says_why(new_receiver: NewReceiver) -> None:
    case = CASES["token"]
    receiver = new_receiver(case)
    for body, code in ((b"[1]", "invalid_event"), (b"{", "malformed_json"), (b"", "malformed_json"),
                       (b'{"a":1,"a":2}', "malformed_json"), (b"\xff", "malformed_json")):  # fmt: skip
        assert_refused(receiver.send(Delivery({"X-Webhook-Token": case.secret}, body)), 400, code)
    assert receiver.published() == []
