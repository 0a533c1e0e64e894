"""Which server serves which partition: one for all, the sentinels' primary, or a cluster's primaries."""

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

# While a server is down, whoever knows better is not asked more often than this.
_ASK_EVERY_S = 0.1

Find = Callable[[float], "Table"]
# The server of each partition; None is the one unix socket.
Table = Sequence[Host | None]


class Topology:
    """The table of servers: looked up when first needed, and again after a server gave cause for doubt."""

    def __init__(self, find: Find) -> None:
        self._find = find
        self._mutex = threading.Lock()
        self._table: list[Host | None] = []
        self._in_doubt = True
        self._asked_at = 0.0

    def host_of(self, partition: int, deadline: float) -> Host | None:
        """Give the server of a partition.

        Raises BrokerError when none is known by the deadline.
        """
        if self._in_doubt:
            self._ask(deadline)
        return self._table[partition]

    def hosts(self, deadline: float) -> set[Host | None]:
        """Give every server that serves a partition.

        Raises BrokerError when none is known by the deadline.
        """
        if self._in_doubt:
            self._ask(deadline)
        return set(self._table)

    def known_hosts(self) -> set[Host | None]:
        """Return the servers of the last look-up, which may be out of date."""
        return set(self._table)

    def invalidate(self) -> None:
        """Look the table up again before the next use: a server failed, or says that it is no primary."""
        self._in_doubt = True

    def moved(self, partition: int, host: Host) -> None:
        """Take over what a cluster's node said of a partition, and look the rest up again."""
        self._table[partition] = host
        self._in_doubt = True

    def _ask(self, deadline: float) -> None:
        now = time.monotonic()
        # One caller asks. Without any table the others must wait for its answer; with an old one they go on,
        # as it is right again once the same server is back.
        if not self._mutex.acquire(timeout=0 if self._table else max(deadline - now, 0)):
            if self._table:
                return
            raise not_sent()
        try:
            if not self._in_doubt or (self._table and now - self._asked_at < _ASK_EVERY_S):
                return
            self._asked_at = now
            # Half of the time is left for the append itself.
            self._table = list(self._find(now + (deadline - now) / 2))
            self._in_doubt = False
        except (exceptions.RedisError, OSError) as error:
            if self._table:
                return
            if isinstance(error, exceptions.ClusterDownError):
                raise explain(error) from error
            raise not_sent("The broker's primary cannot be found; the event was not sent.") from error
        finally:
            self._mutex.release()


def topology_of(address: Address, partitions: int) -> Topology:
    """Make the topology of a broker; nothing is asked yet."""
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
    """Ask the listed nodes in turn, each for its share of the time, which slots each primary serves."""
    failure: Exception = exceptions.ConnectionError("no node was asked")
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


def _table(slots: list[Any], partitions: int, asked: Host) -> Table:
    """Lay the answer of CLUSTER SLOTS out by partition; see https://valkey.io/commands/cluster-slots/."""
    table: list[Host] = []
    for partition in range(partitions):
        slot = key_slot(events_key(partition).encode())
        node = next((each[2] for each in slots if each[0] <= slot <= each[1]), None)
        if node is None:
            raise exceptions.ClusterDownError(f"slot {slot} is served by nobody")
        # A node that does not know its own name leaves it empty: it is the one that was asked.
        table.append((node[0].decode() if node[0] else asked[0], int(node[1])))
    return table
