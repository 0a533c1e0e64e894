"""GitHub's webhooks, checked by their signature and passed on as they came."""

import hashlib
import hmac
import json
import os

import requests
from flask import Flask, request

app = Flask(__name__)


@app.post("/github")
def forward() -> tuple[str, int]:
    """Pass on what GitHub has signed; a redelivery has the same id, so it is stored once.

    GitHub shows a delivery that failed, but does not redeliver it by itself: somebody has to ask for it.
    """
    expected = hmac.new(os.environ["GITHUB_WEBHOOK_SECRET"].encode(), request.get_data(), hashlib.sha256)
    signature = request.headers.get("X-Hub-Signature-256", "")
    if not hmac.compare_digest(signature.encode(), f"sha256={expected.hexdigest()}".encode()):
        return "The signature is not GitHub's.", 401
    # The signature does not cover this header, so it is written as JSON.
    event = json.dumps(request.headers["X-GitHub-Event"]).encode()
    # Around the payload as it came: parsed and written again, numbers and spaces could change.
    body = b'{"source": "github", "event": %s, "payload": %s}' % (event, request.get_data())
    headers = {
        "X-Api-Key": os.environ["VIGILRY_API_KEY"],
        "Content-Type": "application/json",
        "Idempotency-Key": request.headers["X-GitHub-Delivery"],
    }
    try:
        # GitHub itself waits for ten seconds.
        answer = requests.post(
            os.environ["VIGILRY_URL"] + "/ingest/webhook", data=body, headers=headers, timeout=5
        )
    except requests.RequestException:
        return "Vigilry cannot be reached.", 502
    return ("", 204) if answer.ok else (answer.text, 502)
