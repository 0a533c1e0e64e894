"""The publisher: an event goes in, and its jobId comes back once the broker has stored it."""

import threading
import time
from collections.abc import Sequence
from typing import NamedTuple

from vigilry_ingest.domain.event import Event, Quota
from vigilry_ingest.stream.broker_url import Host
from vigilry_ingest.stream.connection.bounded import connection_to
from vigilry_ingest.stream.connection.broker import Broker
from vigilry_ingest.stream.errors import BrokerError, Moved
from vigilry_ingest.stream.publishing.append_script import (
    Append,
    IdempotencyKey,
    KeyedEvent,
    Outcome,
    StreamLimits,
    appends_of,
)
from vigilry_ingest.stream.publishing.durability import read_durability
from vigilry_ingest.stream.publishing.node_publisher import NodePublisher
from vigilry_ingest.stream.redis_keys import job_id_of, partition_of

# How many redirections of a moving partition are followed before the sender is asked to retry.
_MAX_HOPS = 5


class Published(NamedTuple):
    """Where an event is; ``is_replay`` when an earlier request with the same key had published it.

    For a project with a quota: how many events remain at once, and the microseconds until all of them do.
    """

    job_id: str
    is_replay: bool
    remaining: int | None = None
    reset_us: int = 0


class Publisher:
    """Appends events to their project's stream; safe to share between threads or greenlets.

    Parameters:
        broker: which server has which partition
        max_entries: entries that a partition's stream may have before it refuses more
        max_bytes: bytes that these entries may have together, 0 for any number
        durability: ``memory``, ``fsync`` or ``replicas:N``; it must hold before an event counts as published
        timeout_s: upper bound on a call, in seconds
        idempotency_ttl_s: how long an idempotency key is remembered, in seconds
    """

    def __init__(
        self,
        broker: Broker,
        *,
        max_entries: int,
        max_bytes: int,
        durability: str,
        timeout_s: float,
        idempotency_ttl_s: int,
    ) -> None:
        """Prepare; nothing is connected yet. Raises ValueError for the durability."""
        self._broker = broker
        self._durability = read_durability(durability)
        self._limits = StreamLimits(max_entries, max_bytes)
        self._timeout_s = timeout_s
        self._idempotency_ttl_s = idempotency_ttl_s
        self._nodes: dict[Host | None, NodePublisher] = {}
        self._mutex = threading.Lock()
        self._topology_version = 0

    def publish(
        self, event: Event, keys: Sequence[IdempotencyKey] = (), quota: Quota | None = None
    ) -> Published:
        """Append one event, unless one of its keys was used before, and return its jobId.

        Raises BrokerError within the publish time-out. Nothing is sent again that may have been stored: only
        with the codes ``broker_timeout`` and ``broker_not_durable`` may the entry exist.
        """
        (outcome,) = self.publish_all([(event, keys)], event.project_id, quota)
        if isinstance(outcome, BrokerError):
            raise outcome
        return outcome

    def publish_all(
        self,
        events: Sequence[KeyedEvent],
        project_id: str,
        quota: Quota | None = None,
    ) -> list[Published | BrokerError]:
        """Append events of one project in one round trip; each as ``publish`` does, and in their order.

        An outcome that is a BrokerError is that event's own. Raises BrokerError when it is everyone's.
        """
        deadline = time.monotonic() + self._timeout_s
        partition = partition_of(project_id, self._broker.partitions)
        appends = appends_of(
            events,
            partition=partition,
            limits=self._limits,
            ttl_s=self._idempotency_ttl_s,
            quota=quota,
        )
        outcomes = self._append(appends, partition, deadline)
        return [
            each
            if isinstance(each, BrokerError)
            else Published(job_id_of(each.entry_id), each.is_replay, each.remaining, each.reset_us)
            for append, outcome in zip(appends, outcomes, strict=True)
            for each in ([outcome] * append.event_count if isinstance(outcome, BrokerError) else outcome)
        ]

    def close(self) -> None:
        """Drop the connections."""
        for node in self._nodes.values():
            node.close()

    def _append(self, appends: Sequence[Append], partition: int, deadline: float) -> Sequence[Outcome]:
        topology = self._broker.topology
        host = topology.host_of(partition, deadline)
        if topology.version != self._topology_version:
            self._close_unused()
        outcomes = self._node(host).append(appends, deadline)
        if Moved in map(type, outcomes):
            return self._follow(appends, outcomes, partition, deadline)
        return outcomes

    def _follow(
        self,
        appends: Sequence[Append],
        outcomes: Sequence[Outcome],
        partition: int,
        deadline: float,
    ) -> Sequence[Outcome]:
        outcomes = list(outcomes)
        for _ in range(_MAX_HOPS):
            moved = {index: each for index, each in enumerate(outcomes) if isinstance(each, Moved)}
            if not moved:
                break
            # While a partition moves, some of its keys may be on one server and some on another.
            target = next(iter(moved.values()))
            followed = [index for index, each in moved.items() if each.host == target.host]
            if not target.is_asking:
                self._broker.topology.moved(partition, target.host)
            again = [appends[index]._replace(is_asking=target.is_asking) for index in followed]
            results = self._node(target.host).append(again, deadline)
            for index, outcome in zip(followed, results, strict=True):
                outcomes[index] = outcome
        return outcomes

    def _node(self, host: Host | None) -> NodePublisher:
        node = self._nodes.get(host)
        if node is None:
            with self._mutex:
                node = self._nodes.setdefault(host, self._make_node(host))
        return node

    def _make_node(self, host: Host | None) -> NodePublisher:
        return NodePublisher(
            lambda: connection_to(self._broker.address, host), self._durability, self._broker.topology
        )

    def _close_unused(self) -> None:
        """Close the connections to servers that Sentinel or the cluster no longer names."""
        with self._mutex:
            self._topology_version = self._broker.topology.version
            for host in self._nodes.keys() - self._broker.topology.known_hosts():
                self._nodes.pop(host).close()
