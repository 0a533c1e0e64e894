"""Queries to the broker with a deadline, each on its own connection."""

import time
from collections.abc import Sequence
from typing import Any

from redis.exceptions import RedisError, ResponseError

from vigilry_ingest.stream.broker_url import Host, parse_broker_url
from vigilry_ingest.stream.connection.bounded import connection_to
from vigilry_ingest.stream.connection.node import Command, Node
from vigilry_ingest.stream.connection.topology import topology_of
from vigilry_ingest.stream.errors import BrokerError, explain, not_sent
from vigilry_ingest.stream.redis_keys import events_key

# No entry can have this id. A server that refuses events gives that reason first: permissions, memory, disk.
# Only XLEN notices that the key is no stream.
_TRY_TO_APPEND = "redis.call('XLEN', KEYS[1]) return redis.pcall('XADD', KEYS[1], '0-0', 'v', '1')"
_INVALID_ID = "must be greater than 0-0"


class Broker:
    """The broker: its topology, and queries to its servers."""

    def __init__(self, url: str, *, partitions: int) -> None:
        """Prepare without connecting. Raises ConfigError."""
        self.address = parse_broker_url(url)
        self.partitions = partitions
        self.topology = topology_of(self.address, partitions)

    def query(self, host: Host | None, commands: Sequence[Command], timeout_s: float) -> list[Any]:
        """Send commands to one server and return the replies, errors of single commands included.

        Raises BrokerError.
        """
        node = Node(lambda: connection_to(self.address, host))
        try:
            return node.exchange(commands, time.monotonic() + timeout_s)
        except BrokerError as error:
            # The original detail is about an event, and none was sent here.
            raise BrokerError(error.code, "The broker does not answer.") from error
        finally:
            node.close()

    def query_partition(self, partition: int, commands: Sequence[Command], timeout_s: float) -> list[Any]:
        """Send commands to the server of a partition; see ``query``."""
        host = self.topology.host_of(partition, time.monotonic() + timeout_s)
        try:
            return self.query(host, commands, timeout_s)
        except BrokerError:
            self.topology.invalidate()
            raise

    def check(self, timeout_s: float) -> None:
        """Check that at least one server would append an event; nothing is written.

        Raises BrokerError when none does in time.
        """
        failure = not_sent()
        deadline = time.monotonic() + timeout_s
        partitions = {self.topology.host_of(each, deadline): each for each in range(self.partitions)}
        for host, partition in partitions.items():
            try:
                (reply,) = self.query(host, [("EVAL", _TRY_TO_APPEND, 1, events_key(partition))], timeout_s)
                if _INVALID_ID in str(reply):
                    return
                failure = explain(reply if isinstance(reply, RedisError) else ResponseError(str(reply)))
            except BrokerError as error:
                failure = error
        self.topology.invalidate()
        raise failure
