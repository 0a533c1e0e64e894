"""Shopify's webhooks, by https://shopify.dev/docs/apps/build/webhooks (read in November 2026).

The headers of an event are not signed, so who has seen a delivery can repeat it under another id.
"""

import json

from vigilry_ingest.webhooks.delivery import Delivery, Reading
from vigilry_ingest.webhooks.provider import Example, Provider
from vigilry_ingest.webhooks.signatures import Hmac


def _read(delivery: Delivery, _text: bytes) -> Reading:
    shop = delivery.optional_name("X-Shopify-Shop-Domain")
    webhook_id = delivery.optional_name("X-Shopify-Webhook-Id")
    correlation = {"shop": shop, "webhook_id": webhook_id}
    return Reading(
        delivery.name("X-Shopify-Topic"),
        delivery.name("X-Shopify-Event-Id"),
        subject=shop,
        correlation={name: value for name, value in correlation.items() if value is not None},
    )


PROVIDER = Provider(
    name="shopify",
    title="Shopify",
    scheme=Hmac(header="X-Shopify-Hmac-Sha256", encoding="base64"),
    read=_read,
    example=Example(
        body=lambda _id, _now: json.dumps({"id": 820982911946154508, "total_price": "199.00"}).encode(),
        headers={
            "Content-Type": "application/json",
            "X-Shopify-Topic": "orders/create",
            "X-Shopify-Event-Id": "{id}",
            "X-Shopify-Shop-Domain": "example.myshopify.com",
        },
    ),
    where="Settings → Notifications → Webhooks, or your app's subscriptions. The secret is shown on that "
    "page, or is the app's client secret.",
)
