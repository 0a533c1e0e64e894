"""Send an event with requests; a session reuses its connection."""

import os
import sys

import requests

with requests.Session() as session:
    session.headers["X-Api-Key"] = os.environ["INGEST_API_KEY"]
    response = session.post(
        os.environ["INGEST_URL"] + "/ingest/events",
        json={"type": "deployed", "severity": "INFO", "message": "Version 42 is out", "source": "requests"},
        timeout=5,
    )
    if response.status_code != 202:
        sys.exit(f"{response.status_code}: {response.text}")
    print(response.json()["jobId"])
