"""The purging and the making of partitions that workers do by themselves, one of them at a time."""

import logging
import threading
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Self

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import Engine

from vigilry_ingest.domain.ids import new_id
from vigilry_ingest.lifecycle.maintenance import Maintenance
from vigilry_ingest.lifecycle.retention import (
    Cutoff,
    Retention,
    by_partition,
    overdue_s,
    purge_dead_letters,
    purge_events,
)
from vigilry_ingest.observability.metrics import PURGED_EVENTS
from vigilry_ingest.storage.engine import DatabaseError
from vigilry_ingest.storage.event_queries import oldest_time
from vigilry_ingest.storage.leases import drop_lease, take_lease
from vigilry_ingest.storage.sqlite_space import return_free_space
from vigilry_ingest.stream.connection.client import open_client
from vigilry_ingest.stream.errors import BrokerError

_log = logging.getLogger(__name__)

_LEASE = "purge"
_LEASE_S = 120.0
_INTERVAL_S = 60.0
_FIRST_PAUSE_S = 1.0
_BROKER_TIMEOUT_S = 10.0
_STOP_WAIT_S = 5.0


class Purging(Collector):
    """Purges what is past its time, once a minute, in a thread; of all workers only one does, by a lease.

    Before that it makes partitions.

    It pauses after each batch for as long as the batch took, so that at least half of the time is for others.
    As a collector it has the gauges of the holder, and nothing on other workers.
    """

    def __init__(
        self, engine: Engine, broker_url: str, *, partitions: int, default_days: int,
        partition_period: str = "month", interval_s: float = _INTERVAL_S,
    ) -> None:  # fmt: skip
        self._engine = engine
        self._broker_url = broker_url
        self._partitions = partitions
        self._default_days = default_days
        self._maintenance = Maintenance(engine, partition_period)
        self._interval_s = interval_s
        self._name = new_id("worker")
        self._gauges: list[Metric] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="purging", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stopping.set()
        self._thread.join(_STOP_WAIT_S)

    def collect(self) -> Iterable[Metric]:
        """Yield the gauges."""
        return self._gauges

    def _run(self) -> None:
        pause_s = min(_FIRST_PAUSE_S, self._interval_s)
        while not self._stopping.wait(pause_s):
            pause_s = self._interval_s
            try:
                self._purge_if_mine()
            except DatabaseError as error:
                _log.warning("cannot purge events, trying again in %.0f s: %s", self._interval_s, error)
            except BrokerError as error:
                _log.warning("cannot purge dead letters, trying again in %.0f s: %s", self._interval_s, error)
            except Exception:
                # The thread of something that runs for years must not end with one failure.
                _log.exception("cannot purge, trying again in %.0f s", self._interval_s)
        try:
            drop_lease(self._engine, _LEASE, self._name)
        except DatabaseError as error:
            _log.warning("cannot give up the lease to purge, which expires in %.0f s: %s", _LEASE_S, error)

    def _purge_if_mine(self) -> None:
        if not self._renew():
            self._gauges = []
            return
        now = datetime.now(UTC)
        self._maintenance.run(now)
        retention = Retention.read(self._engine, self._default_days)
        if retention.is_limited:
            self._purge(retention.cutoff(now), by_partition(self._engine, retention.cutoff(now), now))
        self._gauges = list(self._measure(retention))

    def _purge(self, cutoff: Cutoff, cutoff_of_events: Cutoff) -> None:
        began = time.monotonic()
        events = self._paced(_counted(purge_events(self._engine, cutoff_of_events)))
        if events:
            self._paced(return_free_space(self._engine))
        with open_client(self._broker_url, timeout_s=_BROKER_TIMEOUT_S) as client:
            dead = self._paced(purge_dead_letters(client, self._partitions, cutoff))
        if events or dead:
            seconds = round(time.monotonic() - began, 1)
            _log.info("purged", extra={"events": events, "dead_letters": dead, "seconds": seconds})

    def _paced(self, steps: Iterable[int]) -> int:
        """Return the sum of the steps, with pauses; end early when the worker stops or has lost the lease."""
        total, renewed_at, began = 0, time.monotonic(), time.monotonic()
        for step in steps:
            total += step
            now = time.monotonic()
            if self._stopping.wait(now - began):
                break
            if now - renewed_at > _LEASE_S / 3:
                if not self._renew():
                    break
                renewed_at = now
            began = time.monotonic()
        return total

    def _renew(self) -> bool:
        return take_lease(self._engine, _LEASE, self._name, _LEASE_S)

    def _measure(self, retention: Retention) -> Iterable[Metric]:
        now = datetime.now(UTC)
        oldest = oldest_time(self._engine)
        age_s = (now - oldest).total_seconds() if oldest else 0.0
        if not retention.is_limited:
            return gauges(age_s, 0.0)
        cutoff = by_partition(self._engine, retention.cutoff(now), now)
        return gauges(age_s, overdue_s(self._engine, cutoff))


def gauges(oldest_age_s: float, overdue_s: float) -> Iterator[Metric]:
    """Yield the gauges of stored events, in seconds."""
    yield GaugeMetricFamily(
        "vigilry_oldest_event_age_seconds", "Age of the oldest stored event.", value=oldest_age_s
    )
    yield GaugeMetricFamily(
        "vigilry_retention_overdue_seconds",
        "For how long the most overdue stored event should have been purged.",
        value=overdue_s,
    )


def _counted(batches: Iterable[int]) -> Iterator[int]:
    for events in batches:
        PURGED_EVENTS.inc(events)
        yield events
