"""The worker's loop: read a group's entries, hand them over in batches, and acknowledge what was handled."""

import logging
import os
import socket
import time
from typing import Any, NamedTuple

from redis.exceptions import RedisClusterException, RedisError

from vigilry_ingest.domain.handler import Handler
from vigilry_ingest.domain.ids import new_id
from vigilry_ingest.stream.broker_url import read_address
from vigilry_ingest.stream.connection.client import make_client
from vigilry_ingest.stream.consuming.dispatcher import Dispatcher
from vigilry_ingest.stream.consuming.leases import Leases
from vigilry_ingest.stream.consuming.pending import has_strays, make_group, pending_ids, remove_idle_consumers
from vigilry_ingest.stream.consuming.process import end_process
from vigilry_ingest.stream.consuming.retention import trim
from vigilry_ingest.stream.consuming.stop_flag import StopFlag
from vigilry_ingest.stream.consuming.stream_reader import StreamReader
from vigilry_ingest.stream.consuming.timing import Timing

_log = logging.getLogger(__name__)


class Limits(NamedTuple):
    """``batch``: entries in one call of the handler; ``deliveries``: tries before an entry is dead;
    ``handler_s``: seconds after which a call of the handler counts as hung.
    """

    batch: int = 500
    deliveries: int = 5
    handler_s: float = 60.0


class Consumer:
    """Runs a handler over a group's entries, at least once each, in order within a project.

    One worker has a partition at a time. An entry is acknowledged only after the handler returned; one that
    goes on failing ends in the dead letters. A handler that raises TryLater is called again with the same
    events, for as long as it takes.
    """

    def __init__(
        self, url: str, handler: Handler, *, group: str, partitions: int,
        limits: Limits = Limits(), timing: Timing = Timing(),  # noqa: B008  immutable
    ) -> None:  # fmt: skip
        """Prepare; nothing is connected yet. Raises ConfigError."""
        self._address = read_address(url)
        self._handler = handler
        self._group = group
        self._partitions = partitions
        self._limits = limits
        self._timing = timing
        self._name = new_id(f"{socket.gethostname()}:{os.getpid()}")
        self._stopping = StopFlag()

    def stop(self) -> None:
        """Let ``run`` end after the batch in hand; may be called from a signal handler."""
        self._stopping.set()

    def run(self) -> None:
        """Work until ``stop``; a broker that fails is waited for, and what was in hand is delivered again."""
        pause_s = 0.0
        while not self._stopping.wait(pause_s):
            begun_at = time.monotonic()
            try:
                with make_client(self._address, timeout_s=self._timing.client_timeout_s) as client:
                    self._work(client)
            except (RedisError, RedisClusterException) as error:
                max_pause_s = self._timing.max_reconnect_pause_s
                has_worked = time.monotonic() - begun_at > max_pause_s
                pause_s = 0.1 if has_worked or not pause_s else min(pause_s * 2, max_pause_s)
                _log.warning("the broker fails, trying again in %.1f s: %s", pause_s, str(error)[:200])

    def _work(self, client: Any) -> None:
        hands = Dispatcher(
            client, self._handler, group=self._group, name=self._name,
            max_deliveries=self._limits.deliveries, stopping=self._stopping,
            held=lambda: leases.still_held(), timing=self._timing,
        )  # fmt: skip
        leases = Leases(
            client, group=self._group, name=self._name, partitions=self._partitions,
            timing=self._timing, on_tick=lambda: self._end_when_hung(hands),
        )  # fmt: skip
        intake = StreamReader(
            client, group=self._group, name=self._name, batch=self._limits.batch,
            is_cluster=self._address.form == "cluster", timing=self._timing,
        )  # fmt: skip
        with leases:
            turns = _Turns(
                client, hands, leases, intake, group=self._group, name=self._name, timing=self._timing
            )
            while not self._stopping.is_set():
                turns.take(self._stopping)

    def _end_when_hung(self, hands: Dispatcher) -> None:
        busy_s = hands.busy_s()
        if busy_s > self._limits.handler_s:
            # A call cannot be interrupted from outside. Its leases run out, another worker takes over, and
            # the event that hangs every worker ends in the dead letters.
            _log.critical("the handler has hung for %.0f s; this worker ends", busy_s)
            end_process()


class _Turns:
    """The turns of a worker on one client: take over, try again, read, hand over, tidy up."""

    def __init__(
        self, client: Any, hands: Dispatcher, leases: Leases, intake: StreamReader, *, group: str, name: str,
        timing: Timing,
    ) -> None:  # fmt: skip
        self._client = client
        self._hands = hands
        self._leases = leases
        self._intake = intake
        self._group = group
        self._name = name
        self._timing = timing
        self._known: set[int] = set()
        self._tidied_at = 0.0

    def take(self, stopping: StopFlag) -> None:
        """Take one turn; it blocks for a moment when there is nothing to do.

        Raises redis.RedisError.
        """
        held = self._leases.held()
        try:
            for partition in sorted(held - self._known):
                self._take_over(partition, stopping)
            if not held <= self._known:
                # It is being stopped, or lost one: what was not taken over comes before anything newer.
                return
            self._known &= held
            self._hands.forget_all_but(held)
            self._hands.try_again()
            if not held:
                stopping.wait(self._timing.block_s)
                return
            deliveries = self._intake.read(sorted(held))
        except RedisError as error:
            if not str(error).startswith("NOGROUP"):
                raise
            _log.warning("the broker has lost the group %s; it is made again", self._group)
            self._known.clear()
            return
        # A worker that slept past its lease, in the middle of a read, leaves the entries to whoever has the
        # partition next; that may be itself.
        mine = self._leases.still_held()
        self._known &= mine
        # What was lost in the middle is taken over anew, should it come back.
        self._known -= self._hands.handle([each for each in deliveries if each.partition in mine])
        self._tidy(held & mine)

    def _take_over(self, partition: int, stopping: StopFlag) -> None:
        """Begin with what was delivered to the partition's last worker and not acknowledged.

        Each by itself: if one of them had killed or hung that worker, it does so alone the next time.
        """
        make_group(self._client, partition, self._group)
        for entry_id in pending_ids(self._client, partition, self._group):
            if stopping.is_set() or partition not in self._leases.still_held():
                return
            self._hands.handle_alone(partition, entry_id)
        remove_idle_consumers(self._client, partition, self._group, self._name)
        self._known.add(partition)

    def _tidy(self, held: set[int]) -> None:
        if time.monotonic() - self._tidied_at < self._timing.trim_interval_s:
            return
        self._tidied_at = time.monotonic()
        for partition in held:
            trim(self._client, partition)
            if has_strays(self._client, partition, self._group, self._name):
                self._known.discard(partition)
