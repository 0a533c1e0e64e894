"""Settling deliveries: acknowledge them, schedule a retry, or make them dead letters."""

import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from vigilry_ingest.domain.handler import TryLater
from vigilry_ingest.observability.metrics import worker_events_by
from vigilry_ingest.stream.consuming.dead_letters import FailureClass, dead_letter
from vigilry_ingest.stream.consuming.handler_call import forget_tracebacks
from vigilry_ingest.stream.consuming.pending import Delivery, undo_delivery_count
from vigilry_ingest.stream.consuming.retries import Retries
from vigilry_ingest.stream.consuming.stop_flag import StopFlag
from vigilry_ingest.stream.consuming.timing import Timing
from vigilry_ingest.stream.redis_keys import events_key, job_id_of

_log = logging.getLogger(__name__)


class Settlement:
    """Settles the deliveries of a worker; ``retries`` are those that failed and are tried again."""

    def __init__(
        self, client: Any, *, group: str, name: str, max_deliveries: int, stop_flag: StopFlag,
        held: Callable[[], set[int]], timing: Timing,
    ) -> None:  # fmt: skip
        self._client = client
        self._group = group
        self._name = name
        self._max_deliveries = max_deliveries
        self._stop_flag = stop_flag
        self._held = held
        self.retries = Retries(timing)

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """Acknowledge deliveries for the group.

        Raises redis.RedisError.
        """
        by_key: dict[str, list[bytes]] = defaultdict(list)
        for delivery in deliveries:
            by_key[events_key(delivery.partition)].append(delivery.entry_id)
        for key, entry_ids in by_key.items():
            self._client.xack(key, self._group, *entry_ids)

    def settle(self, delivery: Delivery, failure: Exception | None) -> None:
        """Acknowledge a delivery, or after a failure schedule a retry or make it a dead letter.

        Raises redis.RedisError.
        """
        if failure is None:
            self.acknowledge([delivery])
        elif isinstance(failure, TryLater) and self._stop_flag.is_set():
            self.release([delivery])
        elif delivery.attempts >= self._max_deliveries:
            is_unavailable = isinstance(failure, TryLater)
            failure_class = (
                FailureClass.HANDLER_UNAVAILABLE if is_unavailable else FailureClass.HANDLER_FAILED
            )
            self.dead_letter(delivery, failure_class, f"{type(failure).__name__}: {failure}")
        else:
            worker_events_by(self._group, "failed").inc()
            pause_s = self.retries.add(delivery, is_unavailable=isinstance(failure, TryLater))
            _log.warning("the handler failed for one event, retrying in %.1f s", pause_s, exc_info=failure)
        forget_tracebacks(failure)

    def release(self, deliveries: Sequence[Delivery]) -> None:
        """Leave entries that were not attempted to the next worker of their partitions.

        Raises redis.RedisError.
        """
        held = self._held()
        own = [delivery for delivery in deliveries if delivery.partition in held]
        undo_delivery_count(self._client, self._group, self._name, own)

    def dead_letter(self, delivery: Delivery, failure_class: FailureClass, reason: str) -> None:
        """Make a delivery a dead letter.

        Raises redis.RedisError.
        """
        worker_events_by(self._group, "dead").inc()
        _log.error("event %s becomes a dead letter: %s", job_id_of(delivery.entry_id), reason)
        dead_letter(
            self._client, delivery.partition, self._group, delivery.entry_id, delivery.entry,
            failure_class=failure_class, reason=reason, deliveries=delivery.attempts,
        )  # fmt: skip
