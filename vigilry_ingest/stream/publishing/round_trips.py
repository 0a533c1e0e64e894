"""The way to a server for threads: a connection for each, and one round trip for each exchange."""

import threading
import time
from collections.abc import Sequence
from typing import Any

from vigilry_ingest.observability.metrics import GROUP_EVENTS, PUBLISH_SECONDS
from vigilry_ingest.stream.connection.node import Command, Connect, Node
from vigilry_ingest.stream.publishing.durability import Durability


class RoundTrips:
    """Exchanges commands with one server; safe to share between threads."""

    def __init__(self, connect: Connect, on_connect: Sequence[Command], durability: Durability) -> None:
        self._connect = connect
        self._on_connect = on_connect
        self._durability = durability
        self._local = threading.local()
        self._is_closed = False

    def exchange(self, commands: Sequence[Command], deadline: float, *, events: int) -> list[Any]:
        """Send commands in one piece, and return their replies once they are durable.

        A redis.ResponseError or BrokerError is a reply too. Raises BrokerError by the deadline, which is on
        the monotonic clock in seconds: ``broker_timeout`` when the server may have run the commands.
        """
        node = self._node()
        wait = self._durability.command(deadline - time.monotonic())
        GROUP_EVENTS.observe(events)
        try:
            with PUBLISH_SECONDS.time():
                if wait is None:
                    return node.exchange(commands, deadline)
                replies = node.exchange([*commands, wait], deadline)
                return self._durability.confirmed(replies[:-1], replies[-1])
        finally:
            if self._is_closed:
                node.close()

    def close(self) -> None:
        """Drop this thread's connection now, and each other thread's after its next exchange or its end."""
        self._is_closed = True
        self._node().close()

    def _node(self) -> Node:
        node: Node | None = getattr(self._local, "node", None)
        if node is None:
            node = self._local.node = Node(self._connect, self._on_connect)
        return node
