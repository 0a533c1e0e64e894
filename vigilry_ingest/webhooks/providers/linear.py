"""Linear's webhooks, by https://linear.app/developers/webhooks (read in November 2026)."""

import json

import msgspec

from vigilry_ingest.domain.lenient_json import read
from vigilry_ingest.webhooks.delivery import Delivery, Reading
from vigilry_ingest.webhooks.provider import Example, Provider
from vigilry_ingest.webhooks.signatures import Hmac


class _Data(msgspec.Struct):
    title: str | None = None
    identifier: str | None = None


class _Body(msgspec.Struct, rename={"webhook_timestamp": "webhookTimestamp"}):
    type: str | None = None
    action: str | None = None
    data: _Data | None = None
    webhook_timestamp: float | None = None


def _read(delivery: Delivery, text: bytes) -> Reading:
    body = read(text, _Body, _Body())
    data = body.data or _Data()
    type_ = body.type or "webhook"
    return Reading(
        f"{type_}.{body.action}" if body.action else type_,
        delivery.name("Linear-Delivery"),
        subject=" ".join(filter(None, [data.identifier, data.title])) or None,
    )


def _timestamp(text: bytes) -> float | None:
    milliseconds = read(text, _Body, _Body()).webhook_timestamp
    return None if milliseconds is None else milliseconds / 1000


def _example(_id: str, now: float) -> bytes:
    data = {"identifier": "ENG-1", "title": "Fix the light"}
    return json.dumps(
        {"action": "create", "type": "Issue", "data": data, "webhookTimestamp": int(now * 1000)}
    ).encode()


PROVIDER = Provider(
    name="linear",
    title="Linear",
    scheme=Hmac(header="Linear-Signature", body_timestamp=_timestamp, tolerance_s=60),
    read=_read,
    example=Example(
        body=_example,
        headers={"Content-Type": "application/json", "Linear-Event": "Issue", "Linear-Delivery": "{id}"},
    ),
    where="Settings → API → Webhooks → New webhook. The signing secret is on the webhook's page.",
)
