"""The publisher: an event goes in, and its jobId comes back once the broker has stored it."""

import time
from collections.abc import Sequence
from typing import Any

from redis.exceptions import RedisError

from vigilry_ingest.event import Event
from vigilry_ingest.stream.connection import connector
from vigilry_ingest.stream.errors import PublishError, explain
from vigilry_ingest.stream.group_commit import GroupCommit
from vigilry_ingest.stream.names import events_key, job_id_of, partition_of
from vigilry_ingest.stream.node import Command, Node


class Publisher:
    """Appends events to their project's stream; safe to share between threads or greenlets."""

    def __init__(self, url: str, *, partitions: int, timeout_s: float) -> None:
        connect = connector(url)
        self._node = Node(connect)
        self._health = Node(connect)
        self._health_group: GroupCommit[Command, Any] = GroupCommit(self._health.exchange)
        self._group: GroupCommit[Command, bytes] = GroupCommit(self._append)
        self._partitions = partitions
        self._timeout_s = timeout_s

    def publish(self, event: Event) -> str:
        """Append one event and return its jobId.

        Raises PublishError within the publish time-out; then the event may have been stored only if the
        code is ``broker_timeout``. It is never sent twice.
        """
        key = events_key(partition_of(event.project_id, self._partitions))
        command = ("XADD", key, "*", *event.to_entry())
        return job_id_of(self._group.submit(command, time.monotonic() + self._timeout_s))

    def check(self) -> None:
        """Ask the broker for a sign of life, on a connection of its own.

        Raises PublishError when there is none within the publish time-out.
        """
        reply = self._health_group.submit(("PING",), time.monotonic() + self._timeout_s)
        if isinstance(reply, RedisError):
            raise explain(reply)

    def close(self) -> None:
        """Drop the connections."""
        self._node.close()
        self._health.close()

    def _append(self, commands: Sequence[Command], deadline: float) -> list[bytes | PublishError]:
        replies = self._node.exchange(commands, deadline)
        return [explain(reply) if isinstance(reply, RedisError) else reply for reply in replies]
