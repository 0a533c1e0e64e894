"""Asking the broker a question off the senders' path: bounded in time, on a connection of its own."""

import time
from collections.abc import Sequence
from typing import Any

from redis.exceptions import RedisError

from vigilry_ingest.stream.broker_url import Host, read_address
from vigilry_ingest.stream.connection.bounded import connection_to
from vigilry_ingest.stream.connection.node import Command, Node
from vigilry_ingest.stream.connection.topology import topology_of
from vigilry_ingest.stream.errors import BrokerError, explain, not_sent


class Broker:
    """The broker as a whole: which server has a partition, and what it answers."""

    def __init__(self, url: str, *, partitions: int) -> None:
        """Prepare; nothing is connected yet. Raises ConfigError."""
        self.address = read_address(url)
        self.partitions = partitions
        self.topology = topology_of(self.address, partitions)

    def query(self, host: Host | None, commands: Sequence[Command], timeout_s: float) -> list[Any]:
        """Send commands to one server and return its replies, a redis.ResponseError being one too.

        Raises BrokerError.
        """
        node = Node(lambda: connection_to(self.address, host))
        try:
            return node.exchange(commands, time.monotonic() + timeout_s)
        except BrokerError as error:
            # No event was sent here, so it is not said what may have become of one.
            raise BrokerError(error.code, "The broker does not answer.") from error
        finally:
            node.close()

    def query_partition(self, partition: int, commands: Sequence[Command], timeout_s: float) -> list[Any]:
        """Send commands to the server of a partition, as ``query`` does."""
        host = self.topology.host_of(partition, time.monotonic() + timeout_s)
        try:
            return self.query(host, commands, timeout_s)
        except BrokerError:
            self.topology.invalidate()
            raise

    def check(self, timeout_s: float) -> None:
        """Ask for a sign of life.

        Raises BrokerError when none of the servers gives one in time.
        """
        failure = not_sent()
        for host in self.topology.hosts(time.monotonic() + timeout_s):
            try:
                (reply,) = self.query(host, [("PING",)], timeout_s)
                if not isinstance(reply, RedisError):
                    return
                failure = explain(reply)
            except BrokerError as error:
                failure = error
        self.topology.invalidate()
        raise failure
