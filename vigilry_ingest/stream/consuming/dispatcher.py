"""Handing entries to the handler: as a batch, one by one when that fails, to the dead letters at last."""

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from vigilry_ingest.domain.handler import Delivered, Handler, TryLater
from vigilry_ingest.observability.metrics import handler_seconds_by, worker_batch_events_by, worker_events_by
from vigilry_ingest.stream.consuming.dead_letters import dead_letter
from vigilry_ingest.stream.consuming.pending import Delivery, claim, uncount
from vigilry_ingest.stream.consuming.stop_flag import StopFlag
from vigilry_ingest.stream.consuming.timing import Timing
from vigilry_ingest.stream.redis_keys import events_key, job_id_of

_log = logging.getLogger(__name__)


class Dispatcher:
    """Calls the handler and settles each delivery: acknowledged, tried again later, or dead."""

    def __init__(
        self, client: Any, handler: Handler, *, group: str, name: str,
        max_deliveries: int, stopping: StopFlag, held: Callable[[], set[int]],
        timing: Timing = Timing(),  # noqa: B008  immutable
    ) -> None:  # fmt: skip
        """Prepare; ``held`` tells which partitions are this worker's at the moment."""
        self._held = held
        self._client = client
        self._handler = handler
        self._group = group
        self._name = name
        self._max_deliveries = max_deliveries
        self._stopping = stopping
        self._timing = timing
        # When each failed entry is due again, on the monotonic clock.
        self._failed: dict[tuple[int, bytes], float] = {}
        self._busy_since: float | None = None

    def handle(self, deliveries: Sequence[Delivery]) -> set[int]:
        """Hand deliveries over, in order, as one batch; give the partitions of which some were left.

        This worker has lost those meanwhile, so whoever has them next begins with what is pending. Raises
        redis.RedisError; what was not acknowledged is then delivered again.
        """
        batch = []
        done = []
        for delivery in deliveries:
            if self._is_foreign(delivery):
                done.append(delivery)
            elif (event := self._read(delivery)) is not None:
                batch.append((delivery, event))
        outcome = self._call([event for _, event in batch]) if batch else None
        if outcome is None:
            self._acknowledge([*done, *(delivery for delivery, _ in batch)])
            return set()
        self._acknowledge(done)
        if isinstance(outcome, TryLater):
            self._leave([delivery for delivery, _ in batch])
            return set()
        lost: set[int] = set()
        for delivery, event in batch:
            if delivery.partition not in self._held():
                lost.add(delivery.partition)
            # One that was lost and has come back would go on after a gap.
            if delivery.partition not in lost:
                self._settle(delivery, self._call([event]) if len(batch) > 1 else outcome)
        return lost

    def handle_alone(self, partition: int, entry_id: bytes) -> None:
        """Claim one pending entry and hand it over by itself.

        Raises redis.RedisError.
        """
        delivery = claim(self._client, partition, self._group, self._name, entry_id)
        if delivery is None:
            return
        if self._is_foreign(delivery):
            self._acknowledge([delivery])
        elif (event := self._read(delivery)) is not None:
            self._settle(delivery, self._call([event]))

    def try_again(self) -> None:
        """Hand over, each by itself, the failed entries that are due.

        Raises redis.RedisError.
        """
        now = time.monotonic()
        for key in [key for key, due in self._failed.items() if due <= now]:
            del self._failed[key]
            self.handle_alone(*key)

    def forget_all_but(self, partitions: set[int]) -> None:
        """Leave the failed entries of lost partitions to the workers that have these now."""
        for key in [key for key in self._failed if key[0] not in partitions]:
            del self._failed[key]

    def busy_s(self) -> float:
        """Tell for how long the handler has been at its present call."""
        since = self._busy_since
        return 0.0 if since is None else time.monotonic() - since

    def _is_foreign(self, delivery: Delivery) -> bool:
        """Tell whether an entry was put back on the stream for another group alone."""
        return delivery.entry.get(b"for_group", self._group.encode()) != self._group.encode()

    def _read(self, delivery: Delivery) -> Delivered | None:
        if delivery.attempts > self._max_deliveries:
            self._dead_letter(
                delivery, "It was delivered too often without an answer: its worker died or hung."
            )
            return None
        try:
            job_id = job_id_of(delivery.entry.get(b"first_entry", delivery.entry_id))
            return Delivered.from_delivery(delivery.entry, job_id, delivery.attempts)
        except ValueError as error:
            self._dead_letter(delivery, f"It is not an event: {error}.")
            return None

    def _call(self, events: Sequence[Delivered]) -> Exception | None:
        """Call the handler, again and again while it says TryLater; give the exception that it raised."""
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
            _log.warning("the handler cannot work, trying again in %.1f s: %s", pause_s, failure)
            if self._stopping.wait(pause_s):
                return failure
            pause_s = min(pause_s * 2, self._timing.max_retry_pause_s)

    def _settle(self, delivery: Delivery, failure: Exception | None) -> None:
        if failure is None:
            self._acknowledge([delivery])
        elif isinstance(failure, TryLater):
            self._leave([delivery])
        elif delivery.attempts >= self._max_deliveries:
            self._dead_letter(delivery, f"{type(failure).__name__}: {failure}")
        else:
            worker_events_by(self._group, "failed").inc()
            pause_s = min(self._timing.retry_pause_s * 4**delivery.attempts, self._timing.max_retry_pause_s)
            self._failed[delivery.partition, delivery.entry_id] = time.monotonic() + pause_s
            _log.warning("the handler failed on one event, trying again in %.1f s", pause_s, exc_info=failure)

    def _leave(self, deliveries: Sequence[Delivery]) -> None:
        """Leave what was not tried to the next worker, with all of its tries: this one is being stopped."""
        held = self._held()
        mine = [delivery for delivery in deliveries if delivery.partition in held]
        uncount(self._client, self._group, self._name, mine)

    def _acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        by_key: dict[str, list[bytes]] = defaultdict(list)
        for delivery in deliveries:
            by_key[events_key(delivery.partition)].append(delivery.entry_id)
        for key, entry_ids in by_key.items():
            self._client.xack(key, self._group, *entry_ids)

    def _dead_letter(self, delivery: Delivery, reason: str) -> None:
        worker_events_by(self._group, "dead").inc()
        _log.error("event %s goes to the dead letters: %s", job_id_of(delivery.entry_id), reason)
        dead_letter(
            self._client, delivery.partition, self._group, delivery.entry_id, delivery.entry,
            reason=reason, deliveries=delivery.attempts,
        )  # fmt: skip
