"""The publisher: an event goes in, and its jobId comes back once the broker has stored it."""

import threading
import time
from collections.abc import Sequence
from typing import NamedTuple

from vigilry_ingest.event import Event
from vigilry_ingest.stream.address import Host
from vigilry_ingest.stream.broker import Broker
from vigilry_ingest.stream.connection import connection_to
from vigilry_ingest.stream.durability import read_durability
from vigilry_ingest.stream.errors import Moved, PublishError
from vigilry_ingest.stream.jobs import Standing, find_standing
from vigilry_ingest.stream.lane import Appended, Lane
from vigilry_ingest.stream.names import job_id_of, partition_of
from vigilry_ingest.stream.node import Node
from vigilry_ingest.stream.script import Append, Once, append_of

# A partition that is on its way between servers is followed this often before the sender is told to retry.
_MOST_HOPS = 5


class Published(NamedTuple):
    """What the sender is told; ``is_replay`` when an earlier request with the same key had published it."""

    job_id: str
    is_replay: bool


class Publisher:
    """Appends events to their project's stream; safe to share between threads or greenlets."""

    def __init__(
        self,
        url: str,
        *,
        partitions: int,
        most_entries: int,
        durability: str,
        timeout_s: float,
        idempotency_ttl_s: int,
    ) -> None:
        """Prepare; nothing is connected yet. Raises ConfigError, and ValueError for the durability."""
        self._broker = Broker(url, partitions=partitions)
        self._durability = read_durability(durability)
        self._most_entries = most_entries
        self._timeout_s = timeout_s
        self._idempotency_ttl_s = idempotency_ttl_s
        self._lanes: dict[Host | None, Lane] = {}
        self._mutex = threading.Lock()

    def publish(self, event: Event, once: Sequence[Once] = ()) -> Published:
        """Append one event, unless one of its ``once`` keys was used before, and return its jobId.

        Raises PublishError within the publish time-out. Nothing is ever sent again that may have been
        stored: only where the code is ``broker_timeout`` or ``broker_not_durable`` may the entry exist.
        """
        deadline = time.monotonic() + self._timeout_s
        partition = partition_of(event.project_id, self._broker.partitions)
        append = append_of(
            event, once, partition=partition, most=self._most_entries, ttl_s=self._idempotency_ttl_s
        )
        appended = self._append(append, partition, deadline)
        return Published(job_id_of(appended.entry_id), appended.is_replay)

    def _append(self, append: Append, partition: int, deadline: float) -> Appended:
        host = self._broker.routes.host_of(partition, deadline)
        for _ in range(_MOST_HOPS):
            try:
                return self._lane(host).append(append, deadline)
            except Moved as moved:
                if not moved.is_asking:
                    self._broker.routes.moved(partition, moved.host)
                host, append = moved.host, append._replace(is_asking=moved.is_asking)
        raise PublishError("broker_cluster_down", "The partition is being moved to another server.")

    def check(self) -> None:
        """Ask the broker for a sign of life.

        Raises PublishError when there is none within the publish time-out.
        """
        self._broker.check(self._timeout_s)

    def standing_of(self, job_id: str, project_id: str, *, group: str) -> Standing | None:
        """Find out where a project's job stands for a group; None when the streams know nothing of it.

        Raises PublishError.
        """
        return find_standing(self._broker, project_id, job_id, group=group, timeout_s=self._timeout_s)

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
