"""The schedule of entries that the handler has failed for."""

import time
from typing import NamedTuple

from vigilry_ingest.stream.consuming.pending import Delivery
from vigilry_ingest.stream.consuming.timing import Timing

Key = tuple[int, bytes]


class Retry(NamedTuple):
    """When an entry is tried again, and when it failed with TryLater, if it did; on the monotonic clock."""

    at: float
    unavailable_at: float | None


class Retries:
    """The failed entries of a worker's partitions, by partition and id."""

    def __init__(self, timing: Timing) -> None:
        self._timing = timing
        self._retries: dict[Key, Retry] = {}

    def add(self, delivery: Delivery, *, is_unavailable: bool) -> float:
        """Schedule the next try of an entry, and return the pause before it in seconds."""
        pause_s: float = min(
            self._timing.retry_pause_s * 4**delivery.attempts, self._timing.max_retry_pause_s
        )
        now = time.monotonic()
        key = (delivery.partition, delivery.entry_id)
        self._retries[key] = Retry(now + pause_s, now if is_unavailable else None)
        return pause_s

    def take_due(self) -> dict[Key, Retry]:
        """Remove and return the retries that are due."""
        now = time.monotonic()
        due = {key: retry for key, retry in self._retries.items() if retry.at <= now}
        for key in due:
            del self._retries[key]
        return due

    def drop_except(self, partitions: set[int]) -> None:
        """Drop the retries of all other partitions, whose pending entries are now other workers'."""
        self._retries = {key: retry for key, retry in self._retries.items() if key[0] in partitions}
