"""One server's lane: appends in groups, and the wait for the durability that the operator chose."""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from redis.exceptions import NoScriptError, RedisError

from vigilry_ingest.observability.metrics import GROUP_EVENTS, PUBLISH_SECONDS
from vigilry_ingest.stream.connection.node import Command, Node
from vigilry_ingest.stream.connection.topology import Topology
from vigilry_ingest.stream.errors import BrokerError, Moved, explain
from vigilry_ingest.stream.publishing.append_script import Append
from vigilry_ingest.stream.publishing.durability import Durability
from vigilry_ingest.stream.publishing.group_commit import GroupCommit

# These say that the server is not, or no longer, the one to append to.
_DOUBTFUL = frozenset(
    {
        "broker_unavailable",
        "broker_timeout",
        "broker_read_only",
        "broker_primary_down",
        "broker_cluster_down",
        "broker_not_durable",
    }
)


class Appended(NamedTuple):
    """An entry that stands on the stream; ``is_replay`` when an earlier request had put it there.

    For a project with a quota: how many events are left at once, and the microseconds until all of them are.
    """

    entry_id: bytes
    is_replay: bool
    left: int | None = None
    reset_us: int = 0


class NodePublisher:
    """The way to one server, shared by all requests of a process; each exchange is one round trip."""

    def __init__(self, node: Node, durability: Durability, topology: Topology) -> None:
        self._node = node
        self._durability = durability
        self._topology = topology
        self._group: GroupCommit[Append, Appended] = GroupCommit(self._exchange)

    def append(self, appends: Sequence[Append], deadline: float) -> Sequence[Appended | BrokerError]:
        """Append, alone or in a group, and return an answer for each.

        It is Moved when another server is to be asked. Raises BrokerError by the deadline.
        """
        try:
            answers = self._group.submit(appends, deadline)
        except BrokerError as error:
            self._look_at(error)
            raise
        for answer in answers:
            if isinstance(answer, BrokerError):
                self._look_at(answer)
        return answers

    def _look_at(self, error: BrokerError) -> None:
        if error.code in _DOUBTFUL:
            self._topology.invalidate()

    def close(self) -> None:
        """Drop the connection."""
        self._node.close()

    def _exchange(self, appends: Sequence[Append], deadline: float) -> list[Appended | BrokerError]:
        # Counted by group, because each count costs 2 µs.
        GROUP_EVENTS.observe(len(appends))
        with PUBLISH_SECONDS.time():
            return self._append(appends, deadline)

    def _append(self, appends: Sequence[Append], deadline: float) -> list[Appended | BrokerError]:
        # The first exchange brings the script's source along: a server that lacks it would spend the deadline
        # waiting for the durability of nothing.
        replies = self._run(appends, deadline, by_digest=self._node.is_connected)
        unknown = [index for index, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        if unknown:
            # The server lost the script meanwhile. Nothing was run, so to send it again, with its source,
            # appends nothing twice.
            again = self._run([appends[index] for index in unknown], deadline, by_digest=False)
            for index, reply in zip(unknown, again, strict=True):
                replies[index] = reply
        return [_answer(reply) for reply in replies]

    def _run(self, appends: Sequence[Append], deadline: float, *, by_digest: bool) -> list[Any]:
        commands: list[Command] = []
        for append in appends:
            if append.is_asking:
                commands.append(("ASKING",))
            commands.append(append.command(by_digest=by_digest))
        wait = self._durability.command(deadline - time.monotonic())
        if wait is not None:
            commands.append(wait)
        replies = self._node.exchange(commands, deadline)
        shortfall = self._durability.shortfall(replies.pop()) if wait is not None else None
        own = replies
        if len(replies) > len(appends):
            own = [reply for command, reply in zip(commands, replies, strict=False) if command[0] != "ASKING"]
        if shortfall is None:
            return own
        return [reply if isinstance(reply, RedisError) else shortfall for reply in own]


def _answer(reply: Any) -> Appended | BrokerError:
    if isinstance(reply, bytes):
        return Appended(reply, False)
    if isinstance(reply, list):
        return Appended(reply[0], bool(reply[1]), *reply[2:])
    if isinstance(reply, BrokerError):
        return reply
    return Moved.read(reply) or explain(reply)
