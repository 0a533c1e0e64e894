"""Send an event with requests; a session keeps its connection for the next one."""

import os

import requests

with requests.Session() as session:
    session.headers["X-Api-Key"] = os.environ["VIGILRY_API_KEY"]
    answer = session.post(
        os.environ["VIGILRY_URL"] + "/ingest/events",
        json={"type": "deployed", "severity": "INFO", "message": "Version 42 is out", "source": "requests"},
        timeout=5,
    )
    answer.raise_for_status()
    print(answer.json()["jobId"])
