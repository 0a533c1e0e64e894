"""Stripe's webhooks, checked by their signature and passed on as they came."""

import hashlib
import hmac
import os
import sys
import time

import requests
from flask import Flask, request

app = Flask(__name__)
SECRET = os.environ["STRIPE_WEBHOOK_SECRET"].encode() or sys.exit("STRIPE_WEBHOOK_SECRET is empty.")
TOLERANCE_S = 300


def is_stripes(payload: bytes, header: str) -> bool:
    """Check a Stripe-Signature: fresh, and one of its signatures is of this time and payload."""
    parts = [part.split("=", 1) for part in header.split(",") if "=" in part]
    moment = next((value for name, value in parts if name == "t"), "")
    # Before there is a signature to trust, the number may be of any length.
    if not moment.isdecimal() or len(moment) > 12 or abs(time.time() - int(moment)) > TOLERANCE_S:
        return False
    expected = hmac.new(SECRET, moment.encode() + b"." + payload, hashlib.sha256).hexdigest()
    return any(
        hmac.compare_digest(value.encode(), expected.encode()) for name, value in parts if name == "v1"
    )


@app.post("/stripe")
def forward() -> tuple[str, int]:
    """Pass on what Stripe has signed; by the event's own id, a retry is stored once."""
    payload = request.get_data()
    if not is_stripes(payload, request.headers.get("Stripe-Signature", "")):
        return "The signature is not Stripe's.", 401
    headers = {"X-Api-Key": os.environ["INGEST_API_KEY"], "Content-Type": "application/json"}
    url = os.environ["INGEST_URL"] + "/ingest/stripe"
    # Stripe tries again for days whatever is not answered with 2xx.
    try:
        answer = requests.post(url, data=payload, headers=headers, timeout=5)
    except requests.RequestException as failure:
        app.logger.warning("An event was not passed on: %s", failure)
        return "The ingestion service cannot be reached.", 502
    if answer.status_code in (400, 413):
        # No retry of the same event can succeed, and Stripe switches off an endpoint that goes on failing.
        app.logger.error("An event was refused for good: %s", answer.text)
    elif not answer.ok:
        app.logger.error("An event was not taken: %s", answer.text)
        return "The ingestion service did not take it.", 502
    return "", 200
