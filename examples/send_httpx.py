"""Send an event with httpx, and say what is wrong with it where it is refused."""

import os
import sys

import httpx

with httpx.Client(
    base_url=os.environ["INGEST_URL"], headers={"X-Api-Key": os.environ["INGEST_API_KEY"]}, timeout=5
) as client:
    event = {"type": "deployed", "severity": "INFO", "message": "Version 42 is out", "source": "httpx"}
    answer = client.post("/ingest/events", json=event)
    if answer.status_code != 202:
        sys.exit(f"{answer.status_code}: {answer.text}")
    print(answer.json()["jobId"])
