"""Paddle's notifications.

By https://developer.paddle.com/webhooks/signature-verification (read in November 2026).
"""

import json

import msgspec

from vigilry_ingest.domain.lenient_json import read
from vigilry_ingest.webhooks.delivery import Delivery, Reading
from vigilry_ingest.webhooks.provider import Example, Provider
from vigilry_ingest.webhooks.signatures import Hmac


class _Body(msgspec.Struct):
    event_type: str | None = None
    event_id: str | None = None
    notification_id: str | None = None


def _read(_delivery: Delivery, text: bytes) -> Reading:
    body = read(text, _Body, _Body())
    notification = body.notification_id
    return Reading(
        body.event_type or "webhook",
        body.event_id,
        severity="ERROR" if body.event_type == "transaction.payment_failed" else "INFO",
        correlation={} if notification is None else {"notification_id": notification},
    )


def _example(id_: str, _now: float) -> bytes:
    return json.dumps(
        {
            "event_id": f"evt_{id_}",
            "event_type": "transaction.completed",
            "notification_id": f"ntf_{id_}",
            "data": {"id": "txn_1", "status": "completed"},
        }
    ).encode()


PROVIDER = Provider(
    name="paddle",
    title="Paddle",
    scheme=Hmac(
        header="Paddle-Signature",
        separator=";",
        timestamp_label="ts=",
        label="h1=",
        signed="{timestamp}:",
    ),
    read=_read,
    example=Example(body=_example, headers={"Content-Type": "application/json"}),
    where="Developer tools → Notifications → New destination. The secret key is in the destination's menu.",
)
