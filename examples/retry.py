"""Retry an event until it is stored; the Idempotency-Key ensures that it is stored only once."""

import os
import random
import sys
import time
import uuid

import httpx

MAX_PAUSE_S = 10.0
# Give up when Retry-After is longer; the caller may keep the event for later.
MAX_RETRY_AFTER_S = 120.0


def is_retryable(response: httpx.Response) -> bool:
    """Return whether the same request may succeed later."""
    by_status = response.status_code in (408, 425, 429) or response.status_code >= 500
    if response.headers.get("Content-Type", "").startswith("application/problem+json"):
        return bool(response.json().get("retryable", by_status))
    # The response of a proxy has another format.
    return by_status


def retry_after_s(response: httpx.Response) -> float:
    """Return Retry-After in seconds; a date, as proxies may send, is ignored."""
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isdecimal() else 0.0


def send(client: httpx.Client, event: dict[str, str], max_attempts: int = 12) -> str:
    """Return the jobId; raise the last error, or immediately one that no retry can fix."""
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    for attempt in range(max_attempts):
        failure: httpx.HTTPError
        delay_s = 0.0
        try:
            response = client.post("/ingest/events", json=event, headers=headers)
        except httpx.RequestError as error:
            # The event may have been stored; a retry with the same key is safe in any case.
            failure = error
        else:
            if response.status_code == 202:
                return str(response.json()["jobId"])
            text = f"{response.status_code}: {response.text[:500]}"
            failure = httpx.HTTPStatusError(text, request=response.request, response=response)
            delay_s = retry_after_s(response)
            if not is_retryable(response) or delay_s > MAX_RETRY_AFTER_S:
                break
        print(f"attempt {attempt + 1}: {failure}", file=sys.stderr)
        if attempt + 1 < max_attempts:
            # Wait for at least Retry-After, with jitter so that senders do not retry at the same time.
            time.sleep(delay_s + min(0.1 * 2**attempt, MAX_PAUSE_S) * random.uniform(0.5, 1.0))
    raise failure


if __name__ == "__main__":
    with httpx.Client(
        base_url=os.environ["INGEST_URL"], headers={"X-Api-Key": os.environ["INGEST_API_KEY"]}, timeout=5
    ) as client:
        print(send(client, {"type": "order_paid", "severity": "INFO", "message": "Order 4421 is paid"}))
