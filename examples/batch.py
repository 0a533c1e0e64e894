"""Send many events in one request, and retry the items that were rate-limited."""

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import httpx

Item = dict[str, Any]

MAX_ATTEMPTS = 10
# An idempotency key in each item makes retries of a batch safe: a stored event returns its first jobId.
ITEMS: list[Item] = [
    {"type": "page_seen", "severity": "INFO", "message": f"Page {number}", "idempotencyKey": f"page-{number}"}
    for number in range(3)
]
ITEMS += [
    {"kind": "webhook", "source": "github", "event": "ping", "payload": {}, "idempotencyKey": "delivery-1"}
]


def as_json(client: httpx.Client, items: list[Item]) -> httpx.Response:
    """Post items as one JSON object."""
    return client.post("/ingest/batch", json={"events": items})


def as_lines(client: httpx.Client, items: list[Item]) -> httpx.Response:
    """Post items as NDJSON, one JSON object per line."""
    lines = "".join(json.dumps(item) + "\n" for item in items)
    return client.post("/ingest/batch", content=lines, headers={"Content-Type": "application/x-ndjson"})


def send(post: Callable[[list[Item]], httpx.Response], items: list[Item]) -> None:
    """Print the result of each item; exit with 1 when an item is not stored."""
    is_complete = True
    for _ in range(MAX_ATTEMPTS):
        response = post(items)
        body = response.json() if "json" in response.headers.get("Content-Type", "") else {}
        if "results" in body:
            waiting = []
            for result in body["results"]:
                if result.get("code") == "rate_limited":
                    waiting.append(items[result["index"]])
                    continue
                is_complete = is_complete and result["status"] == "queued"
                print(result["status"], result.get("jobId") or result["errors"])
            items = waiting
        elif response.status_code not in (429, 502, 503, 504):
            break
        if not items:
            sys.exit(0 if is_complete else 1)
        retry_after = response.headers.get("Retry-After", "")
        time.sleep(min(int(retry_after), 60) if retry_after.isdecimal() else 1)
    sys.exit(f"{len(items)} events are not stored; last response: {response.status_code} {response.text}")


if __name__ == "__main__":
    with httpx.Client(
        base_url=os.environ["INGEST_URL"], headers={"X-Api-Key": os.environ["INGEST_API_KEY"]}, timeout=10
    ) as client:
        post = as_lines if "--lines" in sys.argv else as_json
        send(lambda items: post(client, items), ITEMS)
