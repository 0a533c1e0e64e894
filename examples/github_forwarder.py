"""GitHub's webhooks, checked by their signature and passed on as they came."""

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
    """Pass on what GitHub has signed; a redelivery has the same id, so it is stored once.

    GitHub shows a delivery that failed, but does not redeliver it by itself: somebody has to ask for it.
    """
    payload = request.get_data()
    signature = request.headers.get("X-Hub-Signature-256", "")
    expected = f"sha256={hmac.new(SECRET, payload, hashlib.sha256).hexdigest()}"
    if not hmac.compare_digest(signature.encode(), expected.encode()):
        return "The signature is not GitHub's.", 401
    if request.mimetype != "application/json":
        return "Choose application/json as the webhook's content type.", 415
    event, delivery = request.headers.get("X-GitHub-Event"), request.headers.get("X-GitHub-Delivery")
    if not event or not delivery:
        return "X-GitHub-Event and X-GitHub-Delivery are required.", 400
    # Around the payload as it came: parsed and written again, numbers and spaces could change. The signature
    # does not cover the event's name, so it is written as JSON.
    body = b'{"source": "github", "event": %s, "payload": %s}' % (json.dumps(event).encode(), payload)
    headers = {
        "X-Api-Key": os.environ["INGEST_API_KEY"],
        "Content-Type": "application/json",
        # Payloads may be large, and shrink to a tenth.
        "Content-Encoding": "gzip",
        "Idempotency-Key": delivery,
    }
    url = os.environ["INGEST_URL"] + "/ingest/webhook"
    try:
        # GitHub itself waits for ten seconds.
        answer = requests.post(url, data=gzip.compress(body), headers=headers, timeout=5)
    except requests.RequestException as failure:
        app.logger.warning("Delivery %s was not passed on: %s", delivery, failure)
        return "The ingestion service cannot be reached.", 502
    if not answer.ok:
        app.logger.error("Delivery %s was not taken: %s", delivery, answer.text)
        return "The ingestion service did not take it.", 502
    return "", 204
