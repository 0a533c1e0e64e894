"""The mapping of partitions to servers: a single one, the primary of Sentinel, or those of a cluster."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from redis import exceptions
from redis.crc import key_slot

from vigilry_ingest.stream.broker_url import Address, Host
from vigilry_ingest.stream.connection.bounded import connection_to
from vigilry_ingest.stream.connection.client import find_primary
from vigilry_ingest.stream.errors import explain, not_sent
from vigilry_ingest.stream.redis_keys import events_key

# Limits the queries to sentinels and cluster nodes while a server is down.
_MIN_REFRESH_INTERVAL_S = 0.1

Find = Callable[[float], "Table"]
# The server of each partition; None is the one unix socket.
Table = Sequence[Host | None]


class Topology:
    """Caches which server serves each partition; refreshed on first use and after ``invalidate``.

    ``version`` changes with each refresh.
    """

    def __init__(self, find: Find) -> None:
        self.version = 0
        self._find = find
        self._mutex = threading.Lock()
        self._table: list[Host | None] = []
        self._is_stale = True
        self._refreshed_at = 0.0

    def host_of(self, partition: int, deadline: float) -> Host | None:
        """Return the server of a partition.

        Raises BrokerError when none is known by the deadline.
        """
        if self._is_stale:
            self._refresh(deadline)
        return self._table[partition]

    def hosts(self, deadline: float) -> set[Host | None]:
        """Return all servers that serve a partition.

        Raises BrokerError when none is known by the deadline.
        """
        if self._is_stale:
            self._refresh(deadline)
        return set(self._table)

    def known_hosts(self) -> set[Host | None]:
        """Return the servers of the last look-up, which may be out of date."""
        return set(self._table)

    def invalidate(self) -> None:
        """Refresh before the next use, because a server failed or is no longer a primary."""
        self._is_stale = True

    def moved(self, partition: int, host: Host) -> None:
        """Record a MOVED redirection, and refresh before the next use."""
        self._table[partition] = host
        self._is_stale = True

    def _refresh(self, deadline: float) -> None:
        now = time.monotonic()
        # One caller refreshes. The others wait if there is no table yet, and otherwise use the stale one: it
        # is right again when the same server comes back.
        if not self._mutex.acquire(timeout=0 if self._table else max(deadline - now, 0)):
            if self._table:
                return
            raise not_sent()
        try:
            if not self._is_stale or (self._table and now - self._refreshed_at < _MIN_REFRESH_INTERVAL_S):
                return
            self._refreshed_at = now
            # The other half of the time is for the command itself.
            self._table = list(self._find(now + (deadline - now) / 2))
            self.version += 1
            self._is_stale = False
        except (exceptions.RedisError, OSError) as error:
            if self._table:
                return
            if isinstance(error, exceptions.ClusterDownError):
                raise explain(error) from error
            raise not_sent("The broker's primary cannot be found; the event was not sent.") from error
        finally:
            self._mutex.release()


def topology_of(address: Address, partitions: int) -> Topology:
    """Return the topology of a broker, without connecting."""
    if address.form == "cluster":
        return Topology(lambda deadline: _find_in_cluster(address, partitions, deadline))
    if address.form == "sentinel":
        return Topology(
            lambda deadline: (
                [find_primary(address, timeout_s=max(deadline - time.monotonic(), 0.01))] * partitions
            )
        )
    host = address.hosts[0] if address.hosts else None
    return Topology(lambda _deadline: [host] * partitions)


def _find_in_cluster(address: Address, partitions: int, deadline: float) -> Table:
    """Query the listed nodes in turn for the slots, each with an equal share of the remaining time."""
    failure: Exception = exceptions.ConnectionError("the list of nodes is empty")
    for index, host in enumerate(address.hosts):
        now = time.monotonic()
        connection = connection_to(address, host)
        connection.deadline = now + (deadline - now) / (len(address.hosts) - index)
        try:
            connection.send_command("CLUSTER", "SLOTS")
            return _table(connection.read_response(), partitions, host)
        except (exceptions.RedisError, OSError) as error:
            failure = error
        finally:
            connection.disconnect()
    raise failure


def _table(slots: list[Any], partitions: int, queried: Host) -> Table:
    """Map the reply of CLUSTER SLOTS to partitions; see https://valkey.io/commands/cluster-slots/."""
    table: list[Host] = []
    for partition in range(partitions):
        slot = key_slot(events_key(partition).encode())
        node = next((each[2] for each in slots if each[0] <= slot <= each[1]), None)
        if node is None:
            raise exceptions.ClusterDownError(f"slot {slot} is not served by any node")
        # A node that does not know its own address leaves it empty.
        table.append((node[0].decode() if node[0] else queried[0], int(node[1])))
    return table
