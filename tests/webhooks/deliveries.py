"""Deliveries as the providers' documentation describes them, signed without the product's own code."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
STANDARD_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SIGNING_KEY = Ed25519PrivateKey.generate()
PUBLIC_KEY = (
    "whpk_" + base64.b64encode(SIGNING_KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
)


@dataclass
class Delivery:
    """A request of a provider's."""

    headers: dict[str, str]
    body: bytes
    query: str = ""


Sign = Callable[[str, str, int, str], Delivery]


@dataclass(frozen=True)
class Case:
    """A provider's delivery, and what is stored of it.

    Parameters:
        provider: the provider's name
        secret: the secret of the source
        sign: makes a delivery from the secret, a delivery id, Unix time and the URL
        event: fields of the entry
        required: headers that a delivery always has
        has_timestamp: whether a time is signed
        signs_id: the header of an id that is signed
        has_id: whether a repeat is stored once
        verifies_body: whether a changed body is noticed
        options: options of the source
    """

    provider: str
    secret: str
    sign: Sign
    event: dict[str, str]
    required: tuple[str, ...]
    has_timestamp: bool = False
    signs_id: str = ""
    has_id: bool = True
    verifies_body: bool = True
    options: dict[str, Any] = field(default_factory=dict)


def hex_hmac(secret: str, signed: bytes, algorithm: str = "sha256") -> str:
    """Return a signature in hexadecimal digits."""
    return hmac.new(secret.encode(), signed, algorithm).hexdigest()


def base64_hmac(key: bytes, signed: bytes, algorithm: str = "sha256") -> str:
    """Return a signature in base64."""
    return base64.b64encode(hmac.new(key, signed, algorithm).digest()).decode()


def stripe(secret: str, id_: str, now: int, _url: str) -> Delivery:
    """Sign an event of Stripe's."""
    body = json.dumps(
        {
            "id": f"evt_{id_}",
            "object": "event",
            "type": "charge.failed",
            "data": {
                "object": {"id": "ch_1", "amount": 12345678901234567890, "failure_message": "Declined."}
            },
        }
    ).encode()
    signature = hex_hmac(secret, b"%d." % now + body)
    old = hex_hmac("another", b"%d." % now + body)
    return Delivery(JSON | {"Stripe-Signature": f"t={now},v1={old},v1={signature},v0={old}"}, body)


def github(secret: str, id_: str, _now: int, _url: str) -> Delivery:
    """Sign an event of GitHub's."""
    body = (
        b'{"action":"completed","workflow_run":{"conclusion":"failure","id":1.50},'
        b'"repository":{"full_name":"a/b"}}'
    )
    headers = {
        "X-GitHub-Event": "workflow_run",
        "X-GitHub-Delivery": id_,
        "X-GitHub-Hook-ID": "42",
        "X-Hub-Signature-256": f"sha256={hex_hmac(secret, body)}",
    }
    return Delivery(JSON | headers, body)


def github_form(secret: str, id_: str, now: int, url: str) -> Delivery:
    """Sign an event of GitHub's that is sent as a form."""
    plain = github(secret, id_, now, url)
    body = urlencode({"payload": plain.body.decode()}).encode()
    return Delivery(plain.headers | FORM | {"X-Hub-Signature-256": f"sha256={hex_hmac(secret, body)}"}, body)


def standard(secret: str, id_: str, now: int, _url: str, names: str = "webhook") -> Delivery:
    """Sign an event by Standard Webhooks."""
    body = b'{"type":"contact.created","data":{"id":"1f81eb52"}}'
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signature = base64_hmac(key, f"{id_}.{now}.".encode() + body)
    headers = {
        f"{names}-id": id_,
        f"{names}-timestamp": str(now),
        f"{names}-signature": f"v1,bm9uZQ== v1,{signature}",
    }
    return Delivery(JSON | headers, body)


def svix(secret: str, id_: str, now: int, url: str) -> Delivery:
    """Sign an event as Svix does."""
    return standard(secret, id_, now, url, "svix")


def ed25519(_secret: str, id_: str, now: int, _url: str) -> Delivery:
    """Sign an event by Standard Webhooks with a private key."""
    body = b'{"type":"contact.created","data":{}}'
    key = SIGNING_KEY if _secret == PUBLIC_KEY else Ed25519PrivateKey.generate()
    signature = base64.b64encode(key.sign(f"{id_}.{now}.".encode() + body)).decode()
    headers = {"webhook-id": id_, "webhook-timestamp": str(now), "webhook-signature": f"v1a,{signature}"}
    return Delivery(JSON | headers, body)


_GITLAB_BODY = (
    b'{"object_kind":"pipeline","object_attributes":{"status":"failed"},'
    b'"project":{"path_with_namespace":"a/b"}}'
)


def gitlab(secret: str, id_: str, _now: int, _url: str) -> Delivery:
    """Send an event of GitLab's with a secret token."""
    headers = {"X-Gitlab-Event": "Pipeline Hook", "X-Gitlab-Event-UUID": id_, "X-Gitlab-Token": secret}
    return Delivery(JSON | headers, _GITLAB_BODY)


def gitlab_signed(secret: str, id_: str, now: int, url: str) -> Delivery:
    """Sign an event of GitLab's with a signing token."""
    headers = standard(secret, id_, now, url).headers
    key = base64.b64decode(secret.removeprefix("whsec_"))
    headers["webhook-signature"] = f"v1,{base64_hmac(key, f'{id_}.{now}.'.encode() + _GITLAB_BODY)}"
    return Delivery(headers | {"X-Gitlab-Event": "Pipeline Hook", "Idempotency-Key": id_}, _GITLAB_BODY)


def pagerduty(secret: str, id_: str, _now: int, _url: str) -> Delivery:
    """Sign an event of PagerDuty's."""
    event = {
        "id": id_,
        "event_type": "incident.triggered",
        "resource_type": "incident",
        "data": {"id": "PT4KHLK", "title": "The server is on fire.", "urgency": "low"},
    }
    body = json.dumps({"event": event}).encode()
    signatures = f"v1={hex_hmac('another', body)},v1={hex_hmac(secret, body)}"
    return Delivery(JSON | {"X-PagerDuty-Signature": signatures, "X-Webhook-Subscription": "PSUB"}, body)


def slack(secret: str, id_: str, now: int, _url: str) -> Delivery:
    """Sign an event of Slack's."""
    body = json.dumps(
        {"type": "event_callback", "team_id": "T1", "event_id": f"Ev{id_}", "event": {"type": "app_mention"}}
    ).encode()
    signature = f"v0={hex_hmac(secret, f'v0:{now}:'.encode() + body)}"
    return Delivery(JSON | {"X-Slack-Request-Timestamp": str(now), "X-Slack-Signature": signature}, body)


def shopify(secret: str, id_: str, _now: int, _url: str) -> Delivery:
    """Sign an event of Shopify's."""
    body = b'{"id":820982911946154508,"total_price":"199.00"}'
    headers = {
        "X-Shopify-Topic": "orders/create",
        "X-Shopify-Event-Id": id_,
        "X-Shopify-Shop-Domain": "example.myshopify.com",
        "X-Shopify-Hmac-Sha256": base64_hmac(secret.encode(), body),
    }
    return Delivery(JSON | headers, body)


def sentry(secret: str, id_: str, _now: int, _url: str) -> Delivery:
    """Sign an event of Sentry's."""
    body = json.dumps(
        {"action": "created", "data": {"issue": {"title": "ReferenceError", "level": "fatal"}}}
    ).encode()
    headers = {
        "Sentry-Hook-Resource": "issue",
        "Request-ID": id_,
        "Sentry-Hook-Signature": hex_hmac(secret, body),
    }
    return Delivery(JSON | headers, body)


def linear(secret: str, id_: str, now: int, _url: str) -> Delivery:
    """Sign an event of Linear's."""
    data = {"identifier": "ENG-1", "title": "Fix the light"}
    body = json.dumps(
        {"action": "update", "type": "Issue", "data": data, "webhookTimestamp": now * 1000}
    ).encode()
    return Delivery(JSON | {"Linear-Delivery": id_, "Linear-Signature": hex_hmac(secret, body)}, body)


def paddle(secret: str, id_: str, now: int, _url: str) -> Delivery:
    """Sign an event of Paddle's."""
    body = json.dumps({"event_id": f"evt_{id_}", "event_type": "transaction.payment_failed"}).encode()
    signature = hex_hmac(secret, f"{now}:".encode() + body)
    return Delivery(JSON | {"Paddle-Signature": f"ts={now};h1={signature}"}, body)


def twilio(secret: str, id_: str, _now: int, url: str) -> Delivery:
    """Sign a form of Twilio's."""
    fields = {"MessageSid": "SM1", "MessageStatus": "failed", "ErrorCode": "30007", "Body": "Grüße & mehr"}
    signed = url + "".join(name + value for name, value in sorted(fields.items()))
    headers = {
        "X-Twilio-Signature": base64_hmac(secret.encode(), signed.encode(), "sha1"),
        "I-Twilio-Idempotency-Token": id_,
    }
    return Delivery(FORM | headers, urlencode(fields).encode())


def twilio_json(secret: str, id_: str, _now: int, url: str) -> Delivery:
    """Sign a JSON body of Twilio's."""
    body = b'{"CallSid":"CA1","CallStatus":"completed"}'
    query = f"bodySHA256={hashlib.sha256(body).hexdigest()}"
    headers = {
        "X-Twilio-Signature": base64_hmac(secret.encode(), f"{url}?{query}".encode(), "sha1"),
        "I-Twilio-Idempotency-Token": id_,
    }
    return Delivery(JSON | headers, body, query)


def alerts(secret: str, id_: str, _now: int, _url: str) -> Delivery:
    """Send a notification of Alertmanager's."""
    alert = {"status": "firing", "labels": {"alertname": "Down"}, "startsAt": "2026-01-01T00:00:00Z"}
    body = json.dumps(
        {
            "version": "4",
            "groupKey": id_,
            "status": "firing",
            "receiver": "vigilry",
            "commonLabels": {"alertname": "Down", "severity": "critical"},
            "alerts": [alert],
        }
    ).encode()
    basic = base64.b64encode(secret.encode()).decode()
    return Delivery(JSON | {"Authorization": f"Basic {basic}" if ":" in secret else f"Bearer {secret}"}, body)


def generic_hmac(secret: str, id_: str, now: int, _url: str) -> Delivery:
    """Sign an event as the options of the case say."""
    body = b'{"data":{"type":"order.paid","a/b":7}}'
    signature = base64_hmac(base64.b64decode(secret), f"{id_}|{now}|".encode() + body, "sha512")
    headers = {"X-Id": id_, "X-Time": str(now), "X-Sig": f"sig:{signature}"}
    return Delivery(JSON | headers, body)


def generic_basic(secret: str, id_: str, _now: int, _url: str) -> Delivery:
    """Send an event with basic authentication."""
    basic = base64.b64encode(secret.encode()).decode()
    return Delivery(JSON | {"Authorization": f"basic {basic}", "X-Event": "ping", "X-Id": id_}, b"{}")


def generic_token(secret: str, id_: str, _now: int, _url: str) -> Delivery:
    """Send an event with a token."""
    body = json.dumps({"event": {"id": id_, "number": 12}}).encode()
    return Delivery(JSON | {"X-Webhook-Token": secret}, body)


_HMAC_OPTIONS = {
    "header": "X-Sig",
    "prefix": "sig:",
    "algorithm": "sha512",
    "encoding": "base64",
    "key_encoding": "base64",
    "signed_text": "{id}|{timestamp}|{body}",
    "id_header": "X-Id",
    "timestamp_header": "X-Time",
    "tolerance_s": 30,
    "event": "/data/type",
    "delivery_id": "X-Id",
}

CASES = {
    "stripe": Case(
        "stripe", "whsec_abc", stripe,
        {"kind": "stripe", "type": "charge.failed", "severity": "ERROR", "source": "stripe",
         "message": "charge.failed: Declined."},
        ("Stripe-Signature",), has_timestamp=True,
    ),
    "github": Case(
        "github", "s3cret", github,
        {"type": "workflow_run", "severity": "WARN", "source": "github",
         "message": "github workflow_run.completed: a/b"},
        ("X-Hub-Signature-256", "X-GitHub-Event", "X-GitHub-Delivery"),
    ),
    "github form": Case(
        "github", "s3cret", github_form,
        {"type": "workflow_run", "severity": "WARN", "message": "github workflow_run.completed: a/b"},
        ("X-Hub-Signature-256", "X-GitHub-Event", "X-GitHub-Delivery"),
    ),
    "standard": Case(
        "standard", STANDARD_SECRET, standard,
        {"type": "contact.created", "severity": "INFO", "source": "standard",
         "message": "standard contact.created"},
        ("webhook-id", "webhook-timestamp", "webhook-signature"), has_timestamp=True, signs_id="webhook-id",
    ),
    "svix": Case(
        "standard", STANDARD_SECRET, svix, {"type": "contact.created"},
        ("svix-id", "svix-timestamp", "svix-signature"), has_timestamp=True, signs_id="svix-id",
    ),
    "ed25519": Case(
        "standard", PUBLIC_KEY, ed25519, {"type": "contact.created"},
        ("webhook-id", "webhook-timestamp", "webhook-signature"), has_timestamp=True, signs_id="webhook-id",
    ),
    "gitlab": Case(
        "gitlab", "a-secret-token", gitlab,
        {"type": "Pipeline Hook", "severity": "WARN", "source": "gitlab",
         "message": "gitlab Pipeline Hook: a/b"},
        ("X-Gitlab-Token", "X-Gitlab-Event"), verifies_body=False,
    ),
    "gitlab signed": Case(
        "gitlab", STANDARD_SECRET, gitlab_signed, {"type": "Pipeline Hook", "severity": "WARN"},
        ("webhook-signature", "webhook-id", "webhook-timestamp", "X-Gitlab-Event"),
        has_timestamp=True, signs_id="webhook-id",
    ),
    "pagerduty": Case(
        "pagerduty", "s3cret", pagerduty,
        {"type": "incident.triggered", "severity": "WARN", "source": "pagerduty",
         "message": "pagerduty incident.triggered: The server is on fire."},
        ("X-PagerDuty-Signature",),
    ),
    "slack": Case(
        "slack", "s3cret", slack,
        {"type": "app_mention", "severity": "INFO", "source": "slack", "message": "slack app_mention"},
        ("X-Slack-Signature", "X-Slack-Request-Timestamp"), has_timestamp=True,
    ),
    "shopify": Case(
        "shopify", "s3cret", shopify,
        {"type": "orders/create", "severity": "INFO", "source": "shopify",
         "message": "shopify orders/create: example.myshopify.com"},
        ("X-Shopify-Hmac-Sha256", "X-Shopify-Topic", "X-Shopify-Event-Id"),
    ),
    "sentry": Case(
        "sentry", "s3cret", sentry,
        {"type": "issue.created", "severity": "CRITICAL", "source": "sentry",
         "message": "sentry issue.created: ReferenceError"},
        ("Sentry-Hook-Signature", "Sentry-Hook-Resource", "Request-ID"),
    ),
    "linear": Case(
        "linear", "s3cret", linear,
        {"type": "Issue.update", "severity": "INFO", "source": "linear",
         "message": "linear Issue.update: ENG-1 Fix the light"},
        ("Linear-Signature", "Linear-Delivery"), has_timestamp=True,
    ),
    "paddle": Case(
        "paddle", "pdl_ntfset_s3cret", paddle,
        {"type": "transaction.payment_failed", "severity": "ERROR", "source": "paddle",
         "message": "paddle transaction.payment_failed"},
        ("Paddle-Signature",), has_timestamp=True,
    ),
    "twilio": Case(
        "twilio", "s3cret", twilio,
        {"type": "message.failed", "severity": "WARN", "source": "twilio",
         "message": "twilio message.failed: SM1"},
        ("X-Twilio-Signature",),
    ),
    "twilio json": Case(
        "twilio", "s3cret", twilio_json, {"type": "call.completed", "severity": "INFO"},
        ("X-Twilio-Signature",),
    ),
    "alertmanager": Case(
        "alertmanager", "user:pass:word", alerts,
        {"type": "firing", "severity": "CRITICAL", "source": "alertmanager",
         "message": "alertmanager firing: Down"},
        ("Authorization",), verifies_body=False,
    ),
    "grafana": Case(
        "grafana", "a-bearer-token", alerts, {"type": "firing", "severity": "CRITICAL", "source": "grafana"},
        ("Authorization",), verifies_body=False,
    ),
    "hmac": Case(
        "hmac", base64.b64encode(b"a key").decode(), generic_hmac,
        {"type": "order.paid", "severity": "INFO", "source": "hmac", "message": "hmac order.paid"},
        ("X-Sig", "X-Id", "X-Time"), has_timestamp=True, signs_id="X-Id", options=_HMAC_OPTIONS,
    ),
    "basic": Case(
        "basic", "user:password", generic_basic, {"type": "ping", "source": "basic"},
        ("Authorization", "X-Event", "X-Id"), verifies_body=False,
        options={"event": "X-Event", "delivery_id": "X-Id"},
    ),
    "token": Case(
        "token", "a-token", generic_token, {"type": "12", "source": "token"}, ("X-Webhook-Token",),
        verifies_body=False, options={"event": "/event/number", "delivery_id": "/event/id"},
    ),
}  # fmt: skip


def delivery_of(
    case: Case, url: str, *, secret: str | None = None, id_: str | None = None, now: float | None = None
) -> Delivery:
    """Make a delivery of a case, by default a new one that was signed just now."""
    at = int(time.time() if now is None else now)
    return case.sign(secret or case.secret, id_ or uuid4().hex, at, url)
