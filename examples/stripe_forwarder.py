"""Stripe's webhooks, checked by their signature and passed on as they came."""

import hashlib
import hmac
import os
import time

import requests
from flask import Flask, request

app = Flask(__name__)
TOLERANCE_S = 300


def is_stripes(payload: bytes, header: str, secret: str) -> bool:
    """Check a Stripe-Signature: fresh, and one of its signatures is of this time and payload."""
    parts = [part.split("=", 1) for part in header.split(",") if "=" in part]
    moment = next((value for name, value in parts if name == "t"), "")
    # Before there is a signature to trust, the number may be of any length.
    if not moment.isdecimal() or len(moment) > 12 or abs(time.time() - int(moment)) > TOLERANCE_S:
        return False
    expected = hmac.new(secret.encode(), moment.encode() + b"." + payload, hashlib.sha256).hexdigest()
    return any(
        hmac.compare_digest(value.encode(), expected.encode()) for name, value in parts if name == "v1"
    )


@app.post("/stripe")
def forward() -> tuple[str, int]:
    """Pass on what Stripe has signed; by the event's own id, a retry is stored once."""
    payload = request.get_data()
    secret = os.environ["STRIPE_WEBHOOK_SECRET"]
    if not is_stripes(payload, request.headers.get("Stripe-Signature", ""), secret):
        return "The signature is not Stripe's.", 401
    headers = {"X-Api-Key": os.environ["VIGILRY_API_KEY"], "Content-Type": "application/json"}
    # Stripe tries again for days whatever is not answered with 2xx.
    try:
        answer = requests.post(
            os.environ["VIGILRY_URL"] + "/ingest/stripe", data=payload, headers=headers, timeout=5
        )
    except requests.RequestException:
        return "Vigilry cannot be reached.", 502
    return ("", 200) if answer.ok else (answer.text, 502)
