"""Dispatching entries to the handler: in batches, and in parts of them after a failure."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

from vigilry_ingest.domain.handler import Delivered, Handler, TryLater
from vigilry_ingest.stream.consuming.dead_letters import FailureClass
from vigilry_ingest.stream.consuming.handler_call import HandlerCall, forget_tracebacks
from vigilry_ingest.stream.consuming.pending import Delivery, claim
from vigilry_ingest.stream.consuming.retries import Retry
from vigilry_ingest.stream.consuming.settlement import Settlement
from vigilry_ingest.stream.consuming.stop_flag import StopFlag
from vigilry_ingest.stream.consuming.timing import Timing
from vigilry_ingest.stream.redis_keys import job_id_of

_log = logging.getLogger(__name__)

# How often an event is tried alone before another one shows whether it is at fault.
_MAX_TRIES_ALONE = 5

_Batch = list[tuple[Delivery, Delivered]]


class Dispatcher:
    """Calls the handler with the deliveries of a worker."""

    def __init__(
        self, client: Any, handler: Handler, *, group: str, name: str,
        max_batch: int, max_deliveries: int, stop_flag: StopFlag, held: Callable[[], set[int]],
        timing: Timing = Timing(),  # noqa: B008  immutable
    ) -> None:  # fmt: skip
        """Prepare.

        Parameters:
            max_batch: the maximum number of events in a call of the handler
            max_deliveries: attempts before an entry becomes a dead letter
            held: returns the partitions that this worker holds at the moment
        """
        self._held = held
        self._client = client
        self._call = HandlerCall(handler, group)
        self._group = group
        self._name = name
        self._max_batch = max_batch
        self._max_deliveries = max_deliveries
        self._stop_flag = stop_flag
        self._timing = timing
        self._settlement = Settlement(
            client, group=group, name=name, max_deliveries=max_deliveries, stop_flag=stop_flag, held=held,
            timing=timing,
        )  # fmt: skip

    def handle(self, deliveries: Sequence[Delivery]) -> set[int]:
        """Handle deliveries in order and in batches, and return the partitions that were lost.

        While the handler raises TryLater, ever smaller batches are tried: each may be all that it
        can do in its time, and an event that never succeeds must not hold back the others. The remaining
        entries of a lost partition stay pending for the worker that holds it next. Raises redis.RedisError;
        what was not acknowledged is then delivered again.
        """
        batch: _Batch = []
        done = []
        for delivery in deliveries:
            if self._is_for_other_group(delivery):
                done.append(delivery)
            elif (event := self._parse(delivery)) is not None:
                batch.append((delivery, event))
        self._settlement.acknowledge(done)
        lost: set[int] = set()
        size, tries, pause_s = self._max_batch, 0, self._timing.retry_pause_s
        while batch := self._without_lost(batch, lost):
            some = batch[:size]
            failure = self._call([event for _, event in some])
            if not isinstance(failure, TryLater):
                self._settle_all(some, failure, lost)
                batch = batch[size:]
                size, tries, pause_s = min(size * 2, self._max_batch), 0, self._timing.retry_pause_s
                if self._stop_flag.is_set():
                    self._settlement.release([delivery for delivery, _ in batch])
                    break
                continue
            tries = tries + 1 if len(some) == 1 else 0
            if tries >= _MAX_TRIES_ALONE and self._succeeds_with_another(batch):
                # The handler is available, so the event is at fault, unless it is handled now.
                self._settlement.settle(some[0][0], self._call([some[0][1]]) and failure)
                batch, tries = batch[1:], 0
            elif self._wait_for_handler(pause_s, failure):
                self._settlement.release([delivery for delivery, _ in batch])
                break
            pause_s = min(pause_s * 2, self._timing.max_retry_pause_s)
            size = max(len(some) // 2, 1)
        return lost

    def _without_lost(self, batch: _Batch, lost: set[int]) -> _Batch:
        """Return what is left of a batch without the partitions that this worker has lost meanwhile.

        A partition that was lost and is held again has a gap here, so it stays lost for this batch.
        """
        lost |= {delivery.partition for delivery, _ in batch} - self._held()
        return [each for each in batch if each[0].partition not in lost]

    def _settle_all(self, batch: _Batch, failure: Exception | None, lost: set[int]) -> None:
        """Settle what was handled as one batch; after a failure its events are tried one by one."""
        if failure is None:
            self._settlement.acknowledge([delivery for delivery, _ in batch])
            return
        if len(batch) == 1:
            self._settlement.settle(batch[0][0], failure)
            return
        forget_tracebacks(failure)
        for delivery, event in batch:
            if delivery.partition not in self._held():
                lost.add(delivery.partition)
            if delivery.partition not in lost:
                self._settlement.settle(delivery, self._call_until_available(event))

    def _succeeds_with_another(self, batch: _Batch) -> bool:
        """Return whether the handler handles another event than the first, which is then done.

        One of another project, if there is any, because the events of a project are handled in order.
        """
        first = batch[0][1]
        others = range(1, len(batch))
        index = next((each for each in others if batch[each][1].project_id != first.project_id), 1)
        if index >= len(batch) or self._call([batch[index][1]]) is not None:
            return False
        self._settlement.acknowledge([batch.pop(index)[0]])
        return True

    def handle_pending(self, partition: int, entry_id: bytes, retry: Retry | None = None) -> None:
        """Claim one pending entry and handle it alone.

        Raises redis.RedisError.
        """
        delivery = claim(self._client, partition, self._group, self._name, entry_id)
        if delivery is None:
            return
        if self._is_for_other_group(delivery):
            self._settlement.acknowledge([delivery])
        elif (event := self._parse(delivery)) is None:
            return
        elif retry is None or retry.unavailable_at is None:
            self._settlement.settle(delivery, self._call_until_available(event))
        elif isinstance(failure := self._call([event]), TryLater) and (
            self._call.succeeded_at < retry.unavailable_at
        ):
            # Nothing was handled since its last try, so the event need not be at fault.
            self._settlement.release([delivery])
            self._settlement.retries.add(delivery, is_unavailable=True)
        else:
            self._settlement.settle(delivery, failure)

    def retry_due(self) -> None:
        """Retry the failed entries that are due, one by one.

        Raises redis.RedisError.
        """
        for (partition, entry_id), retry in self._settlement.retries.take_due().items():
            self.handle_pending(partition, entry_id, retry)

    def drop_retries_except(self, partitions: set[int]) -> None:
        """Drop the retries of all other partitions, whose pending entries are now other workers'."""
        self._settlement.retries.drop_except(partitions)

    def busy_s(self) -> float:
        """Return the duration of the current call of the handler in seconds, or 0."""
        return self._call.busy_s()

    def _is_for_other_group(self, delivery: Delivery) -> bool:
        """Return whether an entry was requeued or replayed for another group only."""
        return delivery.entry.get(b"for_group", self._group.encode()) != self._group.encode()

    def _parse(self, delivery: Delivery) -> Delivered | None:
        """Parse an entry; one that cannot be handled is dead-lettered."""
        if delivery.attempts > self._max_deliveries:
            self._settlement.dead_letter(
                delivery,
                FailureClass.WORKER_DIED,
                "It was delivered too often without being acknowledged: its worker died or hung.",
            )
            return None
        try:
            job_id = job_id_of(delivery.entry.get(b"first_entry", delivery.entry_id))
            return Delivered.from_delivery(delivery.entry, job_id, delivery.attempts)
        except ValueError as error:
            self._settlement.dead_letter(delivery, FailureClass.NOT_AN_EVENT, f"It is not an event: {error}.")
            return None

    def _call_until_available(self, event: Delivered) -> Exception | None:
        """Call the handler with one event until it does not raise TryLater, and return any other exception.

        Returns TryLater when the worker is being stopped.
        """
        pause_s = self._timing.retry_pause_s
        while isinstance(failure := self._call([event]), TryLater):
            if self._wait_for_handler(pause_s, failure):
                return failure
            pause_s = min(pause_s * 2, self._timing.max_retry_pause_s)
        return failure

    def _wait_for_handler(self, pause_s: float, failure: TryLater) -> bool:
        """Wait before the next try, and return whether the worker is being stopped."""
        _log.warning("the handler is not available, retrying in %.1f s: %s", pause_s, failure)
        return self._stop_flag.wait(pause_s)
