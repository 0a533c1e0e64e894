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
from vigilry_ingest.stream.errors import Moved, PublishError
from vigilry_ingest.stream.publishing.append_script import Append, Once, append_of
from vigilry_ingest.stream.publishing.durability import read_durability
from vigilry_ingest.stream.publishing.node_publisher import Appended, Lane
from vigilry_ingest.stream.redis_keys import job_id_of, partition_of

# A partition that is on its way between servers is followed this often before the sender is told to retry.
_MOST_HOPS = 5


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
        most_entries: int,
        durability: str,
        timeout_s: float,
        idempotency_ttl_s: int,
    ) -> None:
        """Prepare; nothing is connected yet. Raises ValueError for the durability."""
        self._broker = broker
        self._durability = read_durability(durability)
        self._most_entries = most_entries
        self._timeout_s = timeout_s
        self._idempotency_ttl_s = idempotency_ttl_s
        self._lanes: dict[Host | None, Lane] = {}
        self._mutex = threading.Lock()

    def publish(self, event: Event, once: Sequence[Once] = (), quota: Quota | None = None) -> Published:
        """Append one event, unless one of its ``once`` keys was used before, and return its jobId.

        Raises PublishError within the publish time-out. Nothing is ever sent again that may have been
        stored: only where the code is ``broker_timeout`` or ``broker_not_durable`` may the entry exist.
        """
        (outcome,) = self.publish_all([(event, once)], event.project_id, quota)
        if isinstance(outcome, PublishError):
            raise outcome
        return outcome

    def publish_all(
        self,
        events: Sequence[tuple[Event, Sequence[Once]]],
        project_id: str,
        quota: Quota | None = None,
    ) -> list[Published | PublishError]:
        """Append events of one project in one round trip; each as ``publish`` does, and in their order.

        An outcome that is a PublishError is that event's own. Raises PublishError when it is everyone's.
        """
        deadline = time.monotonic() + self._timeout_s
        partition = partition_of(project_id, self._broker.partitions)
        appends = [
            append_of(
                event,
                once,
                partition=partition,
                most=self._most_entries,
                ttl_s=self._idempotency_ttl_s,
                quota=quota,
            )
            for event, once in events
        ]
        return [
            outcome
            if isinstance(outcome, PublishError)
            else Published(job_id_of(outcome.entry_id), outcome.is_replay, outcome.left, outcome.reset_us)
            for outcome in self._append(appends, partition, deadline)
        ]

    def _append(
        self, appends: Sequence[Append], partition: int, deadline: float
    ) -> Sequence[Appended | PublishError]:
        host = self._broker.routes.host_of(partition, deadline)
        outcomes = self._lane(host).append(appends, deadline)
        if Moved in map(type, outcomes):
            return self._follow(appends, outcomes, partition, deadline)
        return outcomes

    def _follow(
        self,
        appends: Sequence[Append],
        outcomes: Sequence[Appended | PublishError],
        partition: int,
        deadline: float,
    ) -> Sequence[Appended | PublishError]:
        outcomes = list(outcomes)
        for _ in range(_MOST_HOPS):
            moved = {index: each for index, each in enumerate(outcomes) if isinstance(each, Moved)}
            if not moved:
                break
            # While a partition is on its way, some of its keys may be here and some there: one at a time.
            to = next(iter(moved.values()))
            followed = [index for index, each in moved.items() if each.host == to.host]
            if not to.is_asking:
                self._broker.routes.moved(partition, to.host)
            again = [appends[index]._replace(is_asking=to.is_asking) for index in followed]
            for index, outcome in zip(followed, self._lane(to.host).append(again, deadline), strict=True):
                outcomes[index] = outcome
        return outcomes

    def close(self) -> None:
        """Drop the connections."""
        for lane in self._lanes.values():
            lane.close()

    def _lane(self, host: Host | None) -> Lane:
        lane = self._lanes.get(host)
        if lane is None:
            with self._mutex:
                lane = self._lanes.setdefault(host, self._make_lane(host))
        return lane

    def _make_lane(self, host: Host | None) -> Lane:
        node = Node(lambda: connection_to(self._broker.address, host))
        return Lane(node, self._durability, self._broker.routes)
