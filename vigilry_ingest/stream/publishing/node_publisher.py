"""Appends events to one server of the broker."""

import sys
from collections.abc import Sequence
from typing import Any, Protocol

from redis.exceptions import NoScriptError

from vigilry_ingest.stream.connection.node import Command, Connect
from vigilry_ingest.stream.connection.topology import Topology
from vigilry_ingest.stream.errors import BrokerError
from vigilry_ingest.stream.publishing.append_script import LOAD_SCRIPTS, Append, Outcome
from vigilry_ingest.stream.publishing.durability import Durability
from vigilry_ingest.stream.publishing.round_trips import RoundTrips

# After these the server may not be, or no longer be, the one to append to.
_INVALIDATING = frozenset(
    {
        "broker_unavailable",
        "broker_timeout",
        "broker_read_only",
        "broker_primary_down",
        "broker_cluster_down",
        "broker_not_durable",
    }
)
_ASKING: Command = ("ASKING",)


class _Exchange(Protocol):
    def exchange(self, commands: Sequence[Command], deadline: float, *, events: int) -> list[Any]: ...

    def close(self) -> None: ...


class NodePublisher:
    """Appends to one server, for all requests of a process."""

    def __init__(self, connect: Connect, durability: Durability, topology: Topology) -> None:
        self._topology = topology
        self._exchange = _make_exchange(connect, durability)

    def append(self, appends: Sequence[Append], deadline: float) -> list[Outcome]:
        """Append in one round trip, and return the outcome of each call.

        It is Moved when another server has the partition. Raises BrokerError by the deadline.
        """
        try:
            outcomes = self._append(appends, deadline)
        except BrokerError as error:
            self._check(error)
            raise
        for outcome in outcomes:
            if isinstance(outcome, BrokerError):
                self._check(outcome)
        return outcomes

    def close(self) -> None:
        """Drop the connections; appends under way end first."""
        self._exchange.close()

    def _check(self, error: BrokerError) -> None:
        if error.code in _INVALIDATING:
            self._topology.invalidate()

    def _append(self, appends: Sequence[Append], deadline: float) -> list[Outcome]:
        replies = self._run(appends, deadline, by_digest=True)
        unknown = [index for index, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        if unknown:
            # The server has lost the script since it was loaded. Nothing was run, so sending the appends
            # again, with the script's source, appends nothing twice.
            again = self._run([appends[index] for index in unknown], deadline, by_digest=False)
            for index, reply in zip(unknown, again, strict=True):
                replies[index] = reply
        return [append.read(reply) for append, reply in zip(appends, replies, strict=True)]

    def _run(self, appends: Sequence[Append], deadline: float, *, by_digest: bool) -> list[Any]:
        commands: list[Command] = []
        for append in appends:
            if append.is_asking:
                commands.append(_ASKING)
            commands.append(append.command(by_digest=by_digest))
        events = sum(append.event_count for append in appends)
        replies = self._exchange.exchange(commands, deadline, events=events)
        if len(replies) == len(appends):
            return replies
        return [reply for command, reply in zip(commands, replies, strict=True) if command is not _ASKING]


def _make_exchange(connect: Connect, durability: Durability) -> _Exchange:
    """Choose how requests share a server: greenlets one connection, threads a connection each."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is not None and monkey.is_module_patched("socket"):
        # Not above: only gevent's workers load gevent.
        from vigilry_ingest.stream.publishing.pipeline import Pipeline

        return Pipeline(connect, LOAD_SCRIPTS, durability)
    return RoundTrips(connect, LOAD_SCRIPTS, durability)
