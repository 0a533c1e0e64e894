"""Verify the signature of GitHub's webhooks, and forward them unchanged."""

import gzip
import hashlib
import hmac
import json
import os
import sys

import requests
from flask import Flask, request

app = Flask(__name__)
SECRET = os.environ["GITHUB_WEBHOOK_SECRET"].encode() or sys.exit("GITHUB_WEBHOOK_SECRET is empty.")


@app.post("/github")
def forward() -> tuple[str, int]:
    """Forward a signed delivery; a redelivery has the same id, so it is stored once.

    GitHub does not retry failed deliveries automatically; they can be redelivered in its settings or API.
    """
    payload = request.get_data()
    signature = request.headers.get("X-Hub-Signature-256", "")
    expected = f"sha256={hmac.new(SECRET, payload, hashlib.sha256).hexdigest()}"
    if not hmac.compare_digest(signature.encode(), expected.encode()):
        return "The signature is invalid.", 401
    if request.mimetype != "application/json":
        return "Set the webhook's content type to application/json.", 415
    event, delivery = request.headers.get("X-GitHub-Event"), request.headers.get("X-GitHub-Delivery")
    if not event or not delivery:
        return "X-GitHub-Event and X-GitHub-Delivery are required.", 400
    # The payload is embedded as received, because decoding and encoding could change numbers. The event's
    # name is not covered by the signature, so it is escaped.
    body = b'{"source": "github", "event": %s, "payload": %s}' % (json.dumps(event).encode(), payload)
    headers = {
        "X-Api-Key": os.environ["INGEST_API_KEY"],
        "Content-Type": "application/json",
        # Payloads may be large, and compress well.
        "Content-Encoding": "gzip",
        "Idempotency-Key": delivery,
    }
    url = os.environ["INGEST_URL"] + "/ingest/webhook"
    try:
        # GitHub waits for ten seconds.
        response = requests.post(url, data=gzip.compress(body), headers=headers, timeout=5)
    except requests.RequestException as failure:
        app.logger.warning("Delivery %s was not forwarded: %s", delivery, failure)
        return "The ingestion service cannot be reached.", 502
    if not response.ok:
        app.logger.error("Delivery %s was rejected: %s", delivery, response.text)
        return "The ingestion service rejected the event.", 502
    return "", 204
