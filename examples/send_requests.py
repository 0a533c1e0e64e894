"""Send an event with requests; a session keeps its connection for the next one."""

import os
import sys

import requests

with requests.Session() as session:
    session.headers["X-Api-Key"] = os.environ["INGEST_API_KEY"]
    answer = session.post(
        os.environ["INGEST_URL"] + "/ingest/events",
        json={"type": "deployed", "severity": "INFO", "message": "Version 42 is out", "source": "requests"},
        timeout=5,
    )
    if answer.status_code != 202:
        sys.exit(f"{answer.status_code}: {answer.text}")
    print(answer.json()["jobId"])
