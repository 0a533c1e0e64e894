"""Verify the signature of Stripe's webhooks, and forward them unchanged."""

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


def is_signed(payload: bytes, header: str) -> bool:
    """Return whether a Stripe-Signature is recent, and has a valid signature of its time and the payload."""
    parts = [part.split("=", 1) for part in header.split(",") if "=" in part]
    timestamp = next((value for name, value in parts if name == "t"), "")
    # The header is not verified yet, so the number may have any length.
    if not timestamp.isdecimal() or len(timestamp) > 12 or abs(time.time() - int(timestamp)) > TOLERANCE_S:
        return False
    expected = hmac.new(SECRET, timestamp.encode() + b"." + payload, hashlib.sha256).hexdigest()
    return any(
        hmac.compare_digest(value.encode(), expected.encode()) for name, value in parts if name == "v1"
    )


@app.post("/stripe")
def forward() -> tuple[str, int]:
    """Forward a signed event; a retry has the same event id, so it is stored once."""
    payload = request.get_data()
    if not is_signed(payload, request.headers.get("Stripe-Signature", "")):
        return "The signature is invalid.", 401
    headers = {"X-Api-Key": os.environ["INGEST_API_KEY"], "Content-Type": "application/json"}
    url = os.environ["INGEST_URL"] + "/ingest/stripe"
    # Stripe retries for days until the response is 2xx.
    try:
        response = requests.post(url, data=payload, headers=headers, timeout=5)
    except requests.RequestException as failure:
        app.logger.warning("An event was not forwarded: %s", failure)
        return "The ingestion service cannot be reached.", 502
    if response.status_code in (400, 413):
        # No retry can succeed, and Stripe disables endpoints that keep failing.
        app.logger.error("An event was rejected permanently: %s", response.text)
    elif not response.ok:
        app.logger.error("An event was rejected: %s", response.text)
        return "The ingestion service rejected the event.", 502
    return "", 200
