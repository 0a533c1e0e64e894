"""Send many events at once, as JSON and as lines of JSON; each item is taken or rejected by itself."""

import json
import os

import httpx

ITEMS = [
    {"type": "page_seen", "severity": "INFO", "message": f"Page {number}", "idempotencyKey": f"page-{number}"}
    for number in range(3)
] + [{"kind": "webhook", "source": "github", "event": "ping", "payload": {"zen": "Keep it simple."}}]

with httpx.Client(
    base_url=os.environ["VIGILRY_URL"], headers={"X-Api-Key": os.environ["VIGILRY_API_KEY"]}, timeout=10
) as client:
    as_json = client.post("/ingest/batch", json={"events": ITEMS})
    as_lines = client.post(
        "/ingest/batch",
        content="\n".join(json.dumps(item) for item in ITEMS),
        headers={"Content-Type": "application/x-ndjson"},
    )
    for answer in (as_json, as_lines):
        answer.raise_for_status()
        for result in answer.json()["results"]:
            print(result["index"], result["status"], result.get("jobId") or result["errors"])
