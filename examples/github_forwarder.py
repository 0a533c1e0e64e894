"""GitHub's webhooks, checked by their signature and passed on as they came."""

import hashlib
import hmac
import os

import requests
from flask import Flask, request

app = Flask(__name__)


@app.post("/github")
def forward() -> tuple[str, int]:
    """Pass on what GitHub has signed; a redelivery has the same id, so it is stored once."""
    expected = hmac.new(os.environ["GITHUB_WEBHOOK_SECRET"].encode(), request.get_data(), hashlib.sha256)
    signature = request.headers.get("X-Hub-Signature-256", "")
    if not hmac.compare_digest(signature.encode(), f"sha256={expected.hexdigest()}".encode()):
        return "The signature is not GitHub's.", 401
    event = request.headers["X-GitHub-Event"].encode()
    # Around the payload as it came: parsed and written again, numbers and spaces could change.
    body = b'{"source": "github", "event": "%s", "payload": %s}' % (event, request.get_data())
    answer = requests.post(
        os.environ["VIGILRY_URL"] + "/ingest/webhook",
        data=body,
        headers={
            "X-Api-Key": os.environ["VIGILRY_API_KEY"],
            "Content-Type": "application/json",
            "Idempotency-Key": request.headers["X-GitHub-Delivery"],
        },
        timeout=5,
    )
    return ("", 204) if answer.ok else (answer.text, 502)
