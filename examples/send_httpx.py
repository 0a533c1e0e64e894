"""Send an event with httpx, and say what is wrong with it where it is refused."""

import os
import sys

import httpx

with httpx.Client(
    base_url=os.environ["VIGILRY_URL"], headers={"X-Api-Key": os.environ["VIGILRY_API_KEY"]}, timeout=5
) as client:
    event = {"type": "deployed", "severity": "INFO", "message": "Version 42 is out", "source": "httpx"}
    answer = client.post("/ingest/events", json=event)
    if answer.is_error:
        problem = answer.json()
        sys.exit(f"{problem['code']}: {problem['detail']} {problem.get('errors', '')}")
    print(answer.json()["jobId"])
