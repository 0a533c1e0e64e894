"""``python -m benchmarks.scrubbing``: what scrubbing adds to the cost of an event of 1 KB."""

import json
import statistics
import sys
import timeit
from collections.abc import Iterator
from typing import Any

from vigilry_ingest.domain.event import Event
from vigilry_ingest.domain.scrubbing.patterns import PATTERNS
from vigilry_ingest.domain.scrubbing.rules import DEFAULT_FIELDS, DEFAULT_RULES, ScrubbingRules
from vigilry_ingest.domain.scrubbing.scrubber import Scrubber

_SIZE = 1000
_CALLS, _ROUNDS = 2000, 15
_SECRETS: dict[str, Any] = {
    "password": "hunter22",
    "email": "jane.doe@example.com",
    "authorization": "Bearer abcdef",
    "url": "https://shop.example.com/login?token=abc&next=1",
    "card": 4242424242424242,
}


def _event(secrets: int) -> Event:
    payload: dict[str, Any] = {
        "order": {"id": "ord_4421", "total": 12.5, "items": [{"sku": "A-100", "qty": 2}] * 5},
        "browser": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",
        "started_at": "2026-11-29T16:53:16.123Z",
        "tags": {"region": "eu-west-1", "host": "web-3", "release": "1.42.0", "build": "9f8e7d6c5b4a"},
        **dict(list(_SECRETS.items())[:secrets]),
    }
    payload["note"] = "x" * (_SIZE - len(json.dumps(payload)))
    return Event(
        id="evt_1", project_id="proj_1", environment="production", kind="event", type="checkout_failed",
        severity="ERROR", source="checkout", message="Payment gateway returned 402",
        correlation=b'{"user_id":"usr_99","order_id":"ord_4421"}', payload=json.dumps(payload).encode(),
        received_at="2026-01-01T00:00:00.000Z", request_id="req_1",
    )  # fmt: skip


def _measure() -> Iterator[str]:
    rules = {"default": DEFAULT_RULES, "all patterns": ScrubbingRules(DEFAULT_FIELDS, tuple(PATTERNS))}
    # By turns, so that a busy machine slows all of them.
    cases = [(name, Scrubber(each), secrets) for name, each in rules.items() for secrets in (0, 1, 5)]
    times: list[list[float]] = [[] for _ in cases]
    for _ in range(_ROUNDS):
        for (_, scrubber, secrets), measured in zip(cases, times, strict=True):
            event = _event(secrets)
            seconds = timeit.timeit(lambda: scrubber.scrub(event), number=_CALLS)  # noqa: B023  called at once
            measured.append(seconds / _CALLS * 1e6)
    yield f"{'rules':14}{'secrets':>9}{'replaced':>10}{'median µs':>11}"
    for (name, scrubber, secrets), measured in zip(cases, times, strict=True):
        replaced = scrubber.scrub(_event(secrets))[1]
        yield f"{name:14}{secrets:9}{replaced:10}{statistics.median(measured):11.1f}"


if __name__ == "__main__":
    for line in _measure():
        sys.stdout.write(line + "\n")
