"""Send an event with httpx; print the error when it is rejected."""

import os
import sys

import httpx

with httpx.Client(
    base_url=os.environ["INGEST_URL"], headers={"X-Api-Key": os.environ["INGEST_API_KEY"]}, timeout=5
) as client:
    event = {"type": "deployed", "severity": "INFO", "message": "Version 42 is out", "source": "httpx"}
    response = client.post("/ingest/events", json=event)
    if response.status_code != 202:
        sys.exit(f"{response.status_code}: {response.text}")
    print(response.json()["jobId"])
