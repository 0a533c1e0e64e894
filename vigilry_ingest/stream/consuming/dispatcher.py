"""Dispatching entries to the handler: in batches, one by one after a failure, at last to the dead letters."""

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from vigilry_ingest.domain.handler import Delivered, Handler, TryLater
from vigilry_ingest.observability.metrics import handler_seconds_by, worker_batch_events_by, worker_events_by
from vigilry_ingest.stream.consuming.dead_letters import dead_letter
from vigilry_ingest.stream.consuming.pending import Delivery, claim, undo_delivery_count
from vigilry_ingest.stream.consuming.stop_flag import StopFlag
from vigilry_ingest.stream.consuming.timing import Timing
from vigilry_ingest.stream.redis_keys import events_key, job_id_of

_log = logging.getLogger(__name__)


class Dispatcher:
    """Calls the handler and settles each delivery: acknowledge it, schedule a retry, or dead-letter it."""

    def __init__(
        self, client: Any, handler: Handler, *, group: str, name: str,
        max_deliveries: int, stop_flag: StopFlag, held: Callable[[], set[int]],
        timing: Timing = Timing(),  # noqa: B008  immutable
    ) -> None:  # fmt: skip
        """Prepare; ``held`` returns the partitions that this worker holds at the moment."""
        self._held = held
        self._client = client
        self._handler = handler
        self._group = group
        self._name = name
        self._max_deliveries = max_deliveries
        self._stop_flag = stop_flag
        self._timing = timing
        # When to retry each failed entry, on the monotonic clock.
        self._retry_at: dict[tuple[int, bytes], float] = {}
        self._busy_since: float | None = None

    def handle(self, deliveries: Sequence[Delivery]) -> set[int]:
        """Handle deliveries as one batch, in order, and return the partitions that were lost meanwhile.

        The remaining entries of a lost partition stay pending for the worker that holds it next. Raises
        redis.RedisError; what was not acknowledged is then delivered again.
        """
        batch = []
        done = []
        for delivery in deliveries:
            if self._is_for_other_group(delivery):
                done.append(delivery)
            elif (event := self._parse(delivery)) is not None:
                batch.append((delivery, event))
        failure = self._call([event for _, event in batch]) if batch else None
        if failure is None:
            self._acknowledge([*done, *(delivery for delivery, _ in batch)])
            return set()
        self._acknowledge(done)
        if isinstance(failure, TryLater):
            self._release([delivery for delivery, _ in batch])
            return set()
        lost: set[int] = set()
        for delivery, event in batch:
            if delivery.partition not in self._held():
                lost.add(delivery.partition)
            # A partition that was lost and is held again has a gap here, so it stays lost for this batch.
            if delivery.partition not in lost:
                self._settle(delivery, self._call([event]) if len(batch) > 1 else failure)
        return lost

    def handle_pending(self, partition: int, entry_id: bytes) -> None:
        """Claim one pending entry and handle it alone.

        Raises redis.RedisError.
        """
        delivery = claim(self._client, partition, self._group, self._name, entry_id)
        if delivery is None:
            return
        if self._is_for_other_group(delivery):
            self._acknowledge([delivery])
        elif (event := self._parse(delivery)) is not None:
            self._settle(delivery, self._call([event]))

    def retry_due(self) -> None:
        """Retry the failed entries that are due, one by one.

        Raises redis.RedisError.
        """
        now = time.monotonic()
        for key in [key for key, retry_at in self._retry_at.items() if retry_at <= now]:
            del self._retry_at[key]
            self.handle_pending(*key)

    def drop_retries_except(self, partitions: set[int]) -> None:
        """Drop the retries of all other partitions, whose pending entries are now other workers'."""
        for key in [key for key in self._retry_at if key[0] not in partitions]:
            del self._retry_at[key]

    def busy_s(self) -> float:
        """Return the duration of the current call of the handler in seconds, or 0."""
        since = self._busy_since
        return 0.0 if since is None else time.monotonic() - since

    def _is_for_other_group(self, delivery: Delivery) -> bool:
        """Return whether an entry was requeued or replayed for another group only."""
        return delivery.entry.get(b"for_group", self._group.encode()) != self._group.encode()

    def _parse(self, delivery: Delivery) -> Delivered | None:
        """Parse an entry; one that cannot be handled is dead-lettered."""
        if delivery.attempts > self._max_deliveries:
            self._dead_letter(
                delivery, "It was delivered too often without being acknowledged: its worker died or hung."
            )
            return None
        try:
            job_id = job_id_of(delivery.entry.get(b"first_entry", delivery.entry_id))
            return Delivered.from_delivery(delivery.entry, job_id, delivery.attempts)
        except ValueError as error:
            self._dead_letter(delivery, f"It is not an event: {error}.")
            return None

    def _call(self, events: Sequence[Delivered]) -> Exception | None:
        """Call the handler, repeatedly while it raises TryLater, and return any exception that it raised.

        Returns TryLater when the worker is being stopped.
        """
        pause_s = self._timing.retry_pause_s
        while True:
            self._busy_since = time.monotonic()
            try:
                with handler_seconds_by(self._group).time():
                    self._handler(events)
                worker_batch_events_by(self._group).observe(len(events))
                worker_events_by(self._group, "handled").inc(len(events))
                return None
            except TryLater as error:
                failure = error
            except Exception as error:
                return error
            finally:
                self._busy_since = None
            _log.warning("the handler is not available, retrying in %.1f s: %s", pause_s, failure)
            if self._stop_flag.wait(pause_s):
                return failure
            pause_s = min(pause_s * 2, self._timing.max_retry_pause_s)

    def _settle(self, delivery: Delivery, failure: Exception | None) -> None:
        if failure is None:
            self._acknowledge([delivery])
        elif isinstance(failure, TryLater):
            self._release([delivery])
        elif delivery.attempts >= self._max_deliveries:
            self._dead_letter(delivery, f"{type(failure).__name__}: {failure}")
        else:
            worker_events_by(self._group, "failed").inc()
            pause_s = min(self._timing.retry_pause_s * 4**delivery.attempts, self._timing.max_retry_pause_s)
            self._retry_at[delivery.partition, delivery.entry_id] = time.monotonic() + pause_s
            _log.warning("the handler failed for one event, retrying in %.1f s", pause_s, exc_info=failure)

    def _release(self, deliveries: Sequence[Delivery]) -> None:
        """Leave entries that were not attempted to the next worker, because this one is being stopped."""
        held = self._held()
        own = [delivery for delivery in deliveries if delivery.partition in held]
        undo_delivery_count(self._client, self._group, self._name, own)

    def _acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        by_key: dict[str, list[bytes]] = defaultdict(list)
        for delivery in deliveries:
            by_key[events_key(delivery.partition)].append(delivery.entry_id)
        for key, entry_ids in by_key.items():
            self._client.xack(key, self._group, *entry_ids)

    def _dead_letter(self, delivery: Delivery, reason: str) -> None:
        worker_events_by(self._group, "dead").inc()
        _log.error("event %s becomes a dead letter: %s", job_id_of(delivery.entry_id), reason)
        dead_letter(
            self._client, delivery.partition, self._group, delivery.entry_id, delivery.entry,
            reason=reason, deliveries=delivery.attempts,
        )  # fmt: skip
