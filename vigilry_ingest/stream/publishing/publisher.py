"""The publisher: an event goes in, and its jobId comes back once the broker has stored it."""

import threading
import time
from collections.abc import Sequence
from typing import NamedTuple

from vigilry_ingest.domain.event import Event, Quota
from vigilry_ingest.stream.broker_url import Host
from vigilry_ingest.stream.connection.bounded import connection_to
from vigilry_ingest.stream.connection.broker import Broker
from vigilry_ingest.stream.connection.node import Node
from vigilry_ingest.stream.errors import BrokerError, Moved
from vigilry_ingest.stream.publishing.append_script import Append, IdempotencyKey, append_of
from vigilry_ingest.stream.publishing.durability import read_durability
from vigilry_ingest.stream.publishing.node_publisher import Appended, NodePublisher
from vigilry_ingest.stream.redis_keys import job_id_of, partition_of

# A partition that is on its way between servers is followed this often before the sender is told to retry.
_MAX_HOPS = 5


class Published(NamedTuple):
    """What the sender is told; ``is_replay`` when an earlier request with the same key had published it.

    For a project with a quota: how many events are left at once, and the microseconds until all of them are.
    """

    job_id: str
    is_replay: bool
    left: int | None = None
    reset_us: int = 0


class Publisher:
    """Appends events to their project's stream; safe to share between threads or greenlets."""

    def __init__(
        self,
        broker: Broker,
        *,
        max_entries: int,
        durability: str,
        timeout_s: float,
        idempotency_ttl_s: int,
    ) -> None:
        """Prepare; nothing is connected yet. Raises ValueError for the durability."""
        self._broker = broker
        self._durability = read_durability(durability)
        self._max_entries = max_entries
        self._timeout_s = timeout_s
        self._idempotency_ttl_s = idempotency_ttl_s
        self._node_publishers: dict[Host | None, NodePublisher] = {}
        self._mutex = threading.Lock()

    def publish(
        self, event: Event, once: Sequence[IdempotencyKey] = (), quota: Quota | None = None
    ) -> Published:
        """Append one event, unless one of its ``once`` keys was used before, and return its jobId.

        Raises BrokerError within the publish time-out. Nothing is ever sent again that may have been
        stored: only where the code is ``broker_timeout`` or ``broker_not_durable`` may the entry exist.
        """
        (outcome,) = self.publish_all([(event, once)], event.project_id, quota)
        if isinstance(outcome, BrokerError):
            raise outcome
        return outcome

    def publish_all(
        self,
        events: Sequence[tuple[Event, Sequence[IdempotencyKey]]],
        project_id: str,
        quota: Quota | None = None,
    ) -> list[Published | BrokerError]:
        """Append events of one project in one round trip; each as ``publish`` does, and in their order.

        An outcome that is a BrokerError is that event's own. Raises BrokerError when it is everyone's.
        """
        deadline = time.monotonic() + self._timeout_s
        partition = partition_of(project_id, self._broker.partitions)
        appends = [
            append_of(
                event,
                once,
                partition=partition,
                most=self._max_entries,
                ttl_s=self._idempotency_ttl_s,
                quota=quota,
            )
            for event, once in events
        ]
        return [
            outcome
            if isinstance(outcome, BrokerError)
            else Published(job_id_of(outcome.entry_id), outcome.is_replay, outcome.left, outcome.reset_us)
            for outcome in self._append(appends, partition, deadline)
        ]

    def _append(
        self, appends: Sequence[Append], partition: int, deadline: float
    ) -> Sequence[Appended | BrokerError]:
        host = self._broker.topology.host_of(partition, deadline)
        outcomes = self._node_publisher(host).append(appends, deadline)
        if Moved in map(type, outcomes):
            return self._follow(appends, outcomes, partition, deadline)
        return outcomes

    def _follow(
        self,
        appends: Sequence[Append],
        outcomes: Sequence[Appended | BrokerError],
        partition: int,
        deadline: float,
    ) -> Sequence[Appended | BrokerError]:
        outcomes = list(outcomes)
        for _ in range(_MAX_HOPS):
            moved = {index: each for index, each in enumerate(outcomes) if isinstance(each, Moved)}
            if not moved:
                break
            # While a partition is on its way, some of its keys may be here and some there: one at a time.
            to = next(iter(moved.values()))
            followed = [index for index, each in moved.items() if each.host == to.host]
            if not to.is_asking:
                self._broker.topology.moved(partition, to.host)
            again = [appends[index]._replace(is_asking=to.is_asking) for index in followed]
            for index, outcome in zip(
                followed, self._node_publisher(to.host).append(again, deadline), strict=True
            ):
                outcomes[index] = outcome
        return outcomes

    def close(self) -> None:
        """Drop the connections."""
        for lane in self._node_publishers.values():
            lane.close()

    def _node_publisher(self, host: Host | None) -> NodePublisher:
        lane = self._node_publishers.get(host)
        if lane is None:
            with self._mutex:
                lane = self._node_publishers.setdefault(host, self._make_node_publisher(host))
        return lane

    def _make_node_publisher(self, host: Host | None) -> NodePublisher:
        node = Node(lambda: connection_to(self._broker.address, host))
        return NodePublisher(node, self._durability, self._broker.topology)
