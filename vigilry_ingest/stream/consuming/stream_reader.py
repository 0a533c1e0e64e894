"""Reading a consumer group's new entries from its streams, within a budget of bytes."""

import random
from collections.abc import Callable, Iterable
from typing import Any

from vigilry_ingest.stream.consuming.pending import Delivery
from vigilry_ingest.stream.consuming.scripts import Script
from vigilry_ingest.stream.consuming.timing import Timing
from vigilry_ingest.stream.entry_size import query_sizes
from vigilry_ingest.stream.redis_keys import events_key

# The worker holds each entry in several forms while it is stored, so its memory is a multiple of this.
_MAX_BYTES = 16 * 1024 * 1024

_READ = Script.from_file("read.lua")


class StreamReader:
    """Reads batches of new entries, waiting for a moment when there are none."""

    def __init__(
        self, client: Any, *, group: str, name: str, batch: int, held: Callable[[], set[int]],
        is_cluster: bool, timing: Timing,
    ) -> None:  # fmt: skip
        """Prepare; ``held`` returns the partitions that this worker holds at the moment."""
        self._client = client
        self._group = group
        self._name = name
        self._batch = batch
        self._held = held
        self._is_cluster = is_cluster
        self._timing = timing
        self._first = 0

    def read(self, partitions: list[int]) -> list[Delivery]:
        """Read at most one batch from each partition, or less, so that the entries have a bounded size.

        Raises redis.RedisError.
        """
        sizes = query_sizes(self._client, partitions)
        share = _MAX_BYTES // len(partitions)
        small = [each for each, size in sizes.items() if size is not None and size <= share]
        large = sorted(sizes.keys() - small)
        if not large:
            return self._read_whole(small, is_waiting=True)
        found = self._read_whole(small, is_waiting=False)
        # Another one comes first each time, because the budget may not be enough for all.
        self._first += 1
        first = self._first % len(large)
        remaining = _MAX_BYTES - sum(sizes[each] or 0 for each in small)
        for partition in large[first:] + large[:first]:
            if remaining > 0:
                deliveries = self._read_part(partition, share)
                remaining -= sum(map(_bytes_of, deliveries))
                found += deliveries
        return found or self._read_whole(partitions, is_waiting=True)

    def _read_whole(self, partitions: list[int], *, is_waiting: bool) -> list[Delivery]:
        if not self._is_cluster:
            return self._read(partitions, self._timing.block_s if is_waiting else None)
        # One command cannot read streams on different nodes of a cluster. So read each without waiting, and
        # when all are empty wait on one of them.
        found = [delivery for partition in partitions for delivery in self._read([partition], None)]
        if found or not is_waiting:
            return found
        return self._read([random.choice(partitions)], self._timing.cluster_block_s)  # noqa: S311  not a secret

    def _read_part(self, partition: int, max_bytes: int) -> list[Delivery]:
        if partition not in self._held():
            return []
        entries = _READ.run(
            self._client, (events_key(partition),), self._group, self._name, self._batch, max_bytes
        )
        return [
            Delivery(partition, entry_id, dict(zip(fields[::2], fields[1::2], strict=True)), 1)
            for entry_id, fields in entries
        ]

    def _read(self, partitions: list[int], block_s: float | None) -> list[Delivery]:
        # Leases may have expired since the last command, and what is read without one is a gap for the next
        # holder.
        held = self._held()
        partitions = [partition for partition in partitions if partition in held]
        if not partitions:
            return []
        # BLOCK 0 would wait forever.
        block_ms = None if block_s is None else max(round(block_s * 1000), 1)
        by_key = {events_key(partition): partition for partition in partitions}
        reply = self._client.xreadgroup(
            self._group, self._name, dict.fromkeys(by_key, ">"), count=self._batch, block=block_ms
        )
        return [
            Delivery(by_key[key.decode()], entry_id, fields, 1)
            for key, entries in _pairs(reply)
            for entry_id, fields in entries
        ]


def _bytes_of(delivery: Delivery) -> int:
    return sum(len(name) + len(value) for name, value in delivery.entry.items())


def _pairs(reply: Any) -> Iterable[tuple[bytes, list[tuple[bytes, dict[bytes, bytes]]]]]:
    """Parse the reply of XREADGROUP: a list of pairs, or from the cluster client a dict of lists."""
    if isinstance(reply, dict):
        return [(key, entries[0]) for key, entries in reply.items()]
    return reply or []
