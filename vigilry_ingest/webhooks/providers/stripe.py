"""Stripe's events, by https://docs.stripe.com/webhooks#verify-manually (read in November 2026)."""

import json

from vigilry_ingest.api.schemas import stripe
from vigilry_ingest.webhooks.provider import Example, Provider
from vigilry_ingest.webhooks.signatures import Hmac

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
    # The event is the same as by /ingest/stripe.
    read=stripe.KIND,
    example=Example(
        body=lambda id_, _now: json.dumps({**stripe.KIND.example, "id": f"evt_{id_}"}).encode(),
        headers={"Content-Type": "application/json"},
    ),
    where="Workbench → Webhooks → Add destination. The signing secret (whsec_…) is on the destination's "
    "page.",
)
