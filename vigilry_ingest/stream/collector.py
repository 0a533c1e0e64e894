"""Prometheus collector for the state of the streams and consumer groups, queried at each scrape."""

import math
import time
from collections.abc import Iterable, Iterator

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from vigilry_ingest.stream.connection.client import open_client
from vigilry_ingest.stream.consuming.retention import PartitionState, partition_state
from vigilry_ingest.stream.errors import BrokerError

# Below the default scrape timeout of Prometheus, 10 s.
_BUDGET_S = 5.0


class StreamGauges(Collector):
    """Queries every partition; reports a broker that is down or too slow instead of failing."""

    def __init__(
        self, url: str, *, partitions: int, max_entries: int, max_bytes: int, timeout_s: float
    ) -> None:
        self._url = url
        self._partitions = partitions
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s

    def collect(self) -> Iterable[Metric]:
        """Yield the gauges, without partitions that could not be queried."""
        states: list[PartitionState] = []
        is_up = True
        try:
            states.extend(self._states())
        except BrokerError:
            is_up = False
        yield _gauge("vigilry_broker_up", "Whether the broker replied to this scrape.", is_up)
        yield _gauge(
            "vigilry_streams_unread", "Streams that this scrape could not read.",
            self._partitions - len(states),
        )  # fmt: skip
        yield _gauge("vigilry_stream_max_entries", "VIGILRY_STREAM_MAX_ENTRIES.", self._max_entries)
        yield _gauge(
            "vigilry_stream_max_bytes", "VIGILRY_STREAM_MAX_BYTES; +Inf for any size.",
            self._max_bytes or math.inf,
        )  # fmt: skip
        yield from _stream_gauges(states)
        yield from _group_gauges(states)

    def _states(self) -> Iterator[PartitionState]:
        deadline = time.monotonic() + _BUDGET_S
        with open_client(self._url, timeout_s=self._timeout_s) as client:
            for partition in range(self._partitions):
                if time.monotonic() > deadline:
                    return
                yield partition_state(client, partition)


def _gauge(name: str, documentation: str, value: float) -> Metric:
    return GaugeMetricFamily(name, documentation, value=value)


def _stream_gauges(states: Iterable[PartitionState]) -> Iterator[Metric]:
    entries = GaugeMetricFamily("vigilry_stream_entries", "Entries in the stream.", labels=["partition"])
    dead = GaugeMetricFamily(
        "vigilry_stream_dead_letters", "Dead letters in the partition.", labels=["partition"]
    )
    size = GaugeMetricFamily("vigilry_stream_bytes", "Bytes of these entries.", labels=["partition"])
    for state in states:
        entries.add_metric([str(state.partition)], state.length)
        size.add_metric([str(state.partition)], state.bytes)
        dead.add_metric([str(state.partition)], state.dead)
    yield from (entries, size, dead)


def _group_gauges(states: Iterable[PartitionState]) -> Iterator[Metric]:
    labels = ["partition", "group"]
    lag = GaugeMetricFamily("vigilry_group_lag_events", "Events that are not delivered yet.", labels=labels)
    pending = GaugeMetricFamily(
        "vigilry_group_pending_events", "Events that are delivered and not acknowledged yet.", labels=labels
    )
    oldest = GaugeMetricFamily(
        "vigilry_group_oldest_seconds", "Age of the oldest event that is not acknowledged yet.", labels=labels
    )
    for state in states:
        for group in state.groups:
            values = [str(state.partition), group.name]
            lag.add_metric(values, group.lag)
            pending.add_metric(values, group.pending)
            oldest.add_metric(values, group.oldest_s)
    yield from (lag, pending, oldest)
