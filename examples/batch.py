"""Send many events at once, and those again that only have to wait; each is taken or rejected by itself."""

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import httpx

Item = dict[str, Any]

TRIES = 10
# A key in each item makes the repeat of a batch safe: what is stored already is answered with its first job.
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
    """Post items as lines of JSON, which can be written one by one."""
    lines = "".join(json.dumps(item) + "\n" for item in items)
    return client.post("/ingest/batch", content=lines, headers={"Content-Type": "application/x-ndjson"})


def send(post: Callable[[list[Item]], httpx.Response], items: list[Item]) -> None:
    """Print what becomes of each item; exit with 1 when one of them is not stored."""
    is_complete = True
    for _ in range(TRIES):
        answer = post(items)
        body = answer.json() if "json" in answer.headers.get("Content-Type", "") else {}
        if "results" in body:
            waiting = []
            for result in body["results"]:
                if result.get("code") == "rate_limited":
                    waiting.append(items[result["index"]])
                    continue
                is_complete = is_complete and result["status"] == "queued"
                print(result["status"], result.get("jobId") or result["errors"])
            items = waiting
        elif answer.status_code not in (429, 502, 503, 504):
            break
        if not items:
            sys.exit(0 if is_complete else 1)
        asked = answer.headers.get("Retry-After", "")
        time.sleep(min(int(asked), 60) if asked.isdecimal() else 1)
    sys.exit(f"{len(items)} events are not stored; the last answer was {answer.status_code}: {answer.text}")


if __name__ == "__main__":
    with httpx.Client(
        base_url=os.environ["INGEST_URL"], headers={"X-Api-Key": os.environ["INGEST_API_KEY"]}, timeout=10
    ) as client:
        form = as_lines if "--lines" in sys.argv else as_json
        send(lambda items: form(client, items), ITEMS)
