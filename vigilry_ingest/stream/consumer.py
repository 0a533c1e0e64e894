"""The worker's loop: read a group's entries, hand them over in batches, and acknowledge what was handled."""

import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from redis.exceptions import RedisError

from vigilry_ingest.event import Delivered
from vigilry_ingest.stream.address import read_address
from vigilry_ingest.stream.client import make_client
from vigilry_ingest.stream.delivery import Hands
from vigilry_ingest.stream.leases import Leases
from vigilry_ingest.stream.names import events_key
from vigilry_ingest.stream.pending import Delivery, make_group, pending_ids, remove_idle_consumers
from vigilry_ingest.stream.retention import trim

_log = logging.getLogger(__name__)

Handler = Callable[[Sequence[Delivered]], None]

_BLOCK_MS = 500
_CLIENT_TIMEOUT_S = 5.0
_TRIM_EVERY_S = 1.0
_LONGEST_PAUSE_S = 5.0


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
        self, url: str, handler: Handler, *, group: str, partitions: int, limits: Limits = Limits()  # noqa: B008  immutable
    ) -> None:  # fmt: skip
        self._address = read_address(url)
        self._client = make_client(self._address, timeout_s=_CLIENT_TIMEOUT_S)
        self._group = group
        self._name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._limits = limits
        self._stopping = threading.Event()
        self._hands = Hands(
            self._client, handler, group=group, name=self._name,
            most_deliveries=limits.deliveries, stopping=self._stopping,
        )  # fmt: skip
        self._leases = Leases(
            self._client, group=group, name=self._name, partitions=partitions, on_tick=self._end_when_hung
        )
        self._known: set[int] = set()
        self._trimmed_at = 0.0

    def stop(self) -> None:
        """Let ``run`` end after the batch in hand; may be called from a signal handler."""
        self._stopping.set()

    def run(self) -> None:
        """Work until ``stop``; a broker that fails is waited for."""
        self._leases.start()
        pause_s = 0.0
        try:
            while not self._stopping.wait(pause_s):
                try:
                    self._turn()
                    pause_s = 0.0
                except RedisError as error:
                    pause_s = self._recover(error, pause_s)
        finally:
            self._leases.stop()
            self._client.close()

    def _end_when_hung(self) -> None:
        busy_s = self._hands.busy_s()
        if busy_s > self._limits.handler_s:
            # A call cannot be interrupted from outside. Its leases run out, another worker takes over, and
            # the event that hangs every worker ends in the dead letters.
            _log.critical("the handler has hung for %.0f s; this worker ends", busy_s)
            os._exit(1)

    def _recover(self, error: RedisError, pause_s: float) -> float:
        # What was read and not acknowledged is delivered again: every partition is taken over anew.
        self._known.clear()
        if str(error).startswith("NOGROUP"):
            _log.warning("the broker has lost the group %s; it is made again", self._group)
            return 0.0
        longer_s = min(max(pause_s * 2, 0.1), _LONGEST_PAUSE_S)
        _log.warning("the broker fails, trying again in %.1f s: %s", longer_s, error)
        return longer_s

    def _turn(self) -> None:
        held = self._leases.held()
        for partition in sorted(held - self._known):
            self._take_over(partition)
        self._known &= held
        self._hands.forget_all_but(held)
        self._hands.try_again()
        if not held:
            self._stopping.wait(_BLOCK_MS / 1000)
            return
        self._hands.handle(self._read(sorted(held)))
        if time.monotonic() - self._trimmed_at > _TRIM_EVERY_S:
            self._trimmed_at = time.monotonic()
            for partition in held:
                trim(self._client, partition)

    def _take_over(self, partition: int) -> None:
        """Begin with what was delivered to the partition's last worker and not acknowledged.

        Each by itself: if one of them had killed or hung that worker, it does so alone the next time.
        """
        make_group(self._client, partition, self._group)
        for entry_id in pending_ids(self._client, partition, self._group):
            if self._stopping.is_set():
                return
            self._hands.handle_alone(partition, entry_id)
        remove_idle_consumers(self._client, partition, self._group, self._name)
        self._known.add(partition)

    def _read(self, partitions: list[int]) -> list[Delivery]:
        if self._address.form != "cluster":
            return self._read_streams(partitions, _BLOCK_MS)
        # In a cluster the streams stand on different servers, and each is asked by itself.
        found = [each for one in partitions for each in self._read_streams([one], None)]
        return found or self._read_streams([secrets.choice(partitions)], _BLOCK_MS // 5)

    def _read_streams(self, partitions: list[int], block_ms: int | None) -> list[Delivery]:
        by_key = {events_key(partition): partition for partition in partitions}
        reply = self._client.xreadgroup(
            self._group, self._name, dict.fromkeys(by_key, ">"), count=self._limits.batch, block=block_ms
        )
        return [
            Delivery(by_key[key.decode()], entry_id, fields, 1)
            for key, entries in _pairs(reply)
            for entry_id, fields in entries
        ]


def _pairs(reply: Any) -> Iterable[tuple[bytes, list[tuple[bytes, dict[bytes, bytes]]]]]:
    """Read XREADGROUP's answer: pairs, or in a cluster's client a mapping of lists."""
    if isinstance(reply, dict):
        return [(key, entries[0]) for key, entries in reply.items()]
    return reply or []
