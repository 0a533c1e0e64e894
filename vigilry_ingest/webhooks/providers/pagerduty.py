"""PagerDuty's v3 webhooks.

By https://developer.pagerduty.com/docs/verifying-webhook-signatures (read in November 2026).
"""

import json

import msgspec

from vigilry_ingest.domain.lenient_json import read
from vigilry_ingest.webhooks.delivery import Delivery, Reading
from vigilry_ingest.webhooks.provider import Example, Provider
from vigilry_ingest.webhooks.signatures import Hmac


class _Data(msgspec.Struct):
    title: str | None = None
    urgency: str | None = None


class _Event(msgspec.Struct):
    id: str | None = None
    event_type: str | None = None
    data: _Data | None = None


class _Body(msgspec.Struct):
    event: _Event | None = None


def _read(delivery: Delivery, text: bytes) -> Reading:
    event = read(text, _Body, _Body()).event or _Event()
    data = event.data or _Data()
    severity = "INFO"
    if event.event_type == "incident.triggered":
        severity = "WARN" if data.urgency == "low" else "ERROR"
    subscription = delivery.optional_name("X-Webhook-Subscription")
    return Reading(
        event.event_type or "webhook",
        event.id,
        subject=data.title,
        severity=severity,
        correlation={} if subscription is None else {"webhook_subscription": subscription},
    )


def _example(id_: str, _now: float) -> bytes:
    data = {"id": "PGR0VU2", "type": "incident", "title": "A little bump in the road", "urgency": "high"}
    return json.dumps(
        {"event": {"id": id_, "event_type": "incident.triggered", "resource_type": "incident", "data": data}}
    ).encode()


PROVIDER = Provider(
    name="pagerduty",
    title="PagerDuty",
    scheme=Hmac(header="X-PagerDuty-Signature", separator=",", label="v1="),
    read=_read,
    example=Example(body=_example, headers={"Content-Type": "application/json"}),
    where="Integrations → Generic Webhooks (v3) → New Webhook. The secret is shown once, when the webhook is "
    "added.",
)
