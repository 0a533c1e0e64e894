"""Stripe's events, by https://docs.stripe.com/webhooks#verify-manually (read in November 2026)."""

import json

from vigilry_ingest.api.schemas import stripe
from vigilry_ingest.webhooks.delivery import Delivery, Reading
from vigilry_ingest.webhooks.provider import Example, Provider
from vigilry_ingest.webhooks.signatures import Hmac


def _read(_delivery: Delivery, _text: bytes) -> Reading:
    # The event is built as for /ingest/stripe, from its body alone.
    return Reading("", None)


PROVIDER = Provider(
    name="stripe",
    title="Stripe",
    scheme=Hmac(
        header="Stripe-Signature",
        separator=",",
        timestamp_label="t=",
        label="v1=",
        signed="{timestamp}.",
        secret_prefix="whsec_",  # noqa: S106  the beginning of all
    ),
    read=_read,
    example=Example(
        body=lambda id_, _now: json.dumps({**stripe.KIND.example, "id": f"evt_{id_}"}).encode(),
        headers={"Content-Type": "application/json"},
    ),
    where="Workbench → Webhooks → Add destination. The signing secret (whsec_…) is on the destination's "
    "page.",
)
