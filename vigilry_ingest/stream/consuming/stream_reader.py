"""Reading a consumer group's new entries from its streams."""

import random
from collections.abc import Iterable
from typing import Any

from vigilry_ingest.stream.consuming.pending import Delivery
from vigilry_ingest.stream.consuming.timing import Timing
from vigilry_ingest.stream.redis_keys import events_key


class StreamReader:
    """Reads batches of new entries, waiting for a moment when there are none."""

    def __init__(
        self, client: Any, *, group: str, name: str, batch: int, is_cluster: bool, timing: Timing
    ) -> None:
        self._client = client
        self._group = group
        self._name = name
        self._batch = batch
        self._is_cluster = is_cluster
        self._timing = timing

    def read(self, partitions: list[int]) -> list[Delivery]:
        """Read at most one batch from each partition.

        Raises redis.RedisError.
        """
        if not self._is_cluster:
            return self._read(partitions, self._timing.block_s)
        # One command cannot read streams on different nodes of a cluster. So read each without waiting, and
        # when all are empty wait on one of them.
        found = [delivery for partition in partitions for delivery in self._read([partition], None)]
        return found or self._read([random.choice(partitions)], self._timing.cluster_block_s)  # noqa: S311  not a secret

    def _read(self, partitions: list[int], block_s: float | None) -> list[Delivery]:
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


def _pairs(reply: Any) -> Iterable[tuple[bytes, list[tuple[bytes, dict[bytes, bytes]]]]]:
    """Parse the reply of XREADGROUP: a list of pairs, or from the cluster client a dict of lists."""
    if isinstance(reply, dict):
        return [(key, entries[0]) for key, entries in reply.items()]
    return reply or []
