"""The main loop of a worker: reads the entries of a consumer group and dispatches them in batches."""

import logging
import os
import socket
import time
from typing import Any, NamedTuple

from redis.exceptions import RedisClusterException, RedisError

from vigilry_ingest.domain.handler import Handler
from vigilry_ingest.domain.ids import new_id
from vigilry_ingest.stream.broker_url import parse_broker_url
from vigilry_ingest.stream.connection.client import make_client
from vigilry_ingest.stream.consuming.dispatcher import Dispatcher
from vigilry_ingest.stream.consuming.leases import Leases
from vigilry_ingest.stream.consuming.pending import (
    has_entries_of_others,
    make_group,
    pending_ids,
    remove_idle_consumers,
)
from vigilry_ingest.stream.consuming.process import end_process
from vigilry_ingest.stream.consuming.retention import trim
from vigilry_ingest.stream.consuming.stop_flag import StopFlag
from vigilry_ingest.stream.consuming.stream_reader import StreamReader
from vigilry_ingest.stream.consuming.timing import Timing

_log = logging.getLogger(__name__)

_MIN_RECONNECT_PAUSE_S = 0.1


class Limits(NamedTuple):
    """Limits of a consumer.

    ``batch``: maximum number of events in one call of the handler.
    ``deliveries``: attempts before an entry becomes a dead letter.
    ``handler_s``: seconds after which a call of the handler counts as hung.
    """

    batch: int = 500
    deliveries: int = 5
    handler_s: float = 60.0


class Consumer:
    """Runs a handler over the entries of a consumer group, at least once each, in order within a project.

    Each partition belongs to one worker at a time. An entry is acknowledged after the handler has returned;
    one that keeps failing becomes a dead letter. A handler that raises TryLater is retried with the same
    events until it succeeds.
    """

    def __init__(
        self, url: str, handler: Handler, *, group: str, partitions: int,
        limits: Limits = Limits(), timing: Timing = Timing(),  # noqa: B008  immutable
    ) -> None:  # fmt: skip
        """Prepare without connecting. Raises ConfigError."""
        self._address = parse_broker_url(url)
        self._handler = handler
        self._group = group
        self._partitions = partitions
        self._limits = limits
        self._timing = timing
        self._name = new_id(f"{socket.gethostname()}:{os.getpid()}")
        self._stop_flag = StopFlag()

    def stop(self) -> None:
        """Make ``run`` return after the current batch; safe to call from a signal handler."""
        self._stop_flag.set()

    def run(self) -> None:
        """Work until ``stop`` is called.

        Reconnects when the broker fails; entries that were not acknowledged are then delivered again.
        """
        pause_s = 0.0
        max_pause_s = self._timing.max_reconnect_pause_s
        while not self._stop_flag.wait(pause_s):
            started_at = time.monotonic()
            try:
                with make_client(self._address, timeout_s=self._timing.client_timeout_s) as client:
                    self._work(client)
            except (RedisError, RedisClusterException) as error:
                has_worked = time.monotonic() - started_at > max_pause_s
                is_first_failure = has_worked or not pause_s
                pause_s = _MIN_RECONNECT_PAUSE_S if is_first_failure else min(pause_s * 2, max_pause_s)
                _log.warning("the broker fails, reconnecting in %.1f s: %s", pause_s, str(error)[:200])

    def _work(self, client: Any) -> None:
        dispatcher = Dispatcher(
            client, self._handler, group=self._group, name=self._name,
            max_batch=self._limits.batch, max_deliveries=self._limits.deliveries, stop_flag=self._stop_flag,
            held=lambda: leases.held(), timing=self._timing,
        )  # fmt: skip
        leases = Leases(
            client, group=self._group, name=self._name, partitions=self._partitions,
            timing=self._timing, on_renewal=lambda: self._end_if_hung(dispatcher),
        )  # fmt: skip
        reader = StreamReader(
            client, group=self._group, name=self._name, batch=self._limits.batch, held=leases.held,
            is_cluster=self._address.form == "cluster", timing=self._timing,
        )  # fmt: skip
        with leases:
            loop = _WorkLoop(
                client, dispatcher, leases, reader, group=self._group, name=self._name, timing=self._timing
            )
            while not self._stop_flag.is_set():
                loop.run_once(self._stop_flag)

    def _end_if_hung(self, dispatcher: Dispatcher) -> None:
        busy_s = dispatcher.busy_s()
        if busy_s > self._limits.handler_s:
            # A call cannot be interrupted from another thread. The leases expire, another worker reclaims the
            # pending entries one by one, and an event that hangs every worker becomes a dead letter.
            _log.critical("the handler has hung for %.0f s; this worker ends", busy_s)
            end_process()


class _WorkLoop:
    """The steps of a worker on one client: reclaim, retry, read, dispatch, trim."""

    def __init__(
        self, client: Any, dispatcher: Dispatcher, leases: Leases, reader: StreamReader, *, group: str,
        name: str, timing: Timing,
    ) -> None:  # fmt: skip
        self._client = client
        self._dispatcher = dispatcher
        self._leases = leases
        self._reader = reader
        self._group = group
        self._name = name
        self._timing = timing
        # Partitions without pending entries of earlier workers.
        self._reclaimed: set[int] = set()
        self._trimmed_at = 0.0

    def run_once(self, stop_flag: StopFlag) -> None:
        """Run all steps once; waits for a moment when there is nothing to do.

        Raises redis.RedisError.
        """
        self._leases.release_surplus()
        held = self._leases.held()
        try:
            for partition in sorted(held - self._reclaimed):
                self._reclaim(partition, stop_flag)
            if not held <= self._reclaimed:
                # The worker is being stopped or has lost a partition. Pending entries come before newer ones.
                return
            self._reclaimed &= held
            self._dispatcher.drop_retries_except(held)
            self._dispatcher.retry_due()
            if not held:
                stop_flag.wait(self._timing.block_s)
                return
            deliveries = self._reader.read(sorted(held))
        except RedisError as error:
            if not str(error).startswith("NOGROUP"):
                raise
            _log.warning("the broker has lost the group %s; creating it again", self._group)
            self._reclaimed.clear()
            return
        # A worker that was suspended during the read may have lost its leases. Those entries stay pending for
        # the next worker that holds the partition, which may be this one.
        still_held = self._leases.held()
        self._reclaimed &= still_held
        own = [delivery for delivery in deliveries if delivery.partition in still_held]
        self._reclaimed -= self._dispatcher.handle(own)
        self._trim(held & still_held)

    def _reclaim(self, partition: int, stop_flag: StopFlag) -> None:
        """Process the entries that earlier workers of the partition left pending.

        One at a time, so that an entry that killed or hung its worker affects no other entry.
        """
        make_group(self._client, partition, self._group)
        for entry_id in pending_ids(self._client, partition, self._group):
            if stop_flag.is_set() or partition not in self._leases.held():
                return
            self._dispatcher.handle_pending(partition, entry_id)
        remove_idle_consumers(self._client, partition, self._group, self._name)
        self._reclaimed.add(partition)

    def _trim(self, partitions: set[int]) -> None:
        if time.monotonic() - self._trimmed_at < self._timing.trim_interval_s:
            return
        self._trimmed_at = time.monotonic()
        for partition in partitions:
            trim(self._client, partition)
            if has_entries_of_others(self._client, partition, self._group, self._name):
                self._reclaimed.discard(partition)
