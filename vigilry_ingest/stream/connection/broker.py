"""Asking the broker a question off the senders' path: bounded in time, on a connection of its own."""

import time
from collections.abc import Sequence
from typing import Any

from redis.exceptions import RedisError

from vigilry_ingest.stream.broker_url import Host, read_address
from vigilry_ingest.stream.connection.bounded import connection_to
from vigilry_ingest.stream.connection.node import Command, Node
from vigilry_ingest.stream.connection.topology import routes_of
from vigilry_ingest.stream.errors import PublishError, explain, not_sent


class Broker:
    """The broker as a whole: which server has a partition, and what it answers."""

    def __init__(self, url: str, *, partitions: int) -> None:
        """Prepare; nothing is connected yet. Raises ConfigError."""
        self.address = read_address(url)
        self.partitions = partitions
        self.routes = routes_of(self.address, partitions)

    def ask(self, host: Host | None, commands: Sequence[Command], timeout_s: float) -> list[Any]:
        """Send commands to one server and return its replies, a redis.ResponseError being one too.

        Raises PublishError.
        """
        node = Node(lambda: connection_to(self.address, host))
        try:
            return node.exchange(commands, time.monotonic() + timeout_s)
        except PublishError as error:
            # No event was sent here, so it is not said what may have become of one.
            raise PublishError(error.code, "The broker does not answer.") from error
        finally:
            node.close()

    def ask_partition(self, partition: int, commands: Sequence[Command], timeout_s: float) -> list[Any]:
        """Send commands to the server of a partition, as ``ask`` does."""
        host = self.routes.host_of(partition, time.monotonic() + timeout_s)
        try:
            return self.ask(host, commands, timeout_s)
        except PublishError:
            self.routes.doubt()
            raise

    def check(self, timeout_s: float) -> None:
        """Ask for a sign of life.

        Raises PublishError when none of the servers gives one in time.
        """
        failure = not_sent()
        for host in self.routes.hosts(time.monotonic() + timeout_s):
            try:
                (reply,) = self.ask(host, [("PING",)], timeout_s)
                if not isinstance(reply, RedisError):
                    return
                failure = explain(reply)
            except PublishError as error:
                failure = error
        self.routes.doubt()
        raise failure
