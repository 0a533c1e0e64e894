"""Reading a group's new entries from its streams."""

import random
from collections.abc import Iterable
from typing import Any

from vigilry_ingest.stream.consuming.pending import Delivery
from vigilry_ingest.stream.consuming.timing import Timing
from vigilry_ingest.stream.redis_keys import events_key


class StreamReader:
    """Reads the partitions of a worker, a batch at a time, and waits a moment when there is nothing."""

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
        """Read at most a batch of each partition.

        Raises redis.RedisError.
        """
        if not self._is_cluster:
            return self._read(partitions, self._timing.block_s)
        # In a cluster the streams stand on different servers, and each is asked by itself.
        found = [each for one in partitions for each in self._read([one], None)]
        return found or self._read([random.choice(partitions)], self._timing.cluster_block_s)  # noqa: S311  no secret

    def _read(self, partitions: list[int], block_s: float | None) -> list[Delivery]:
        # To the server 0 means "wait for ever".
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
    """Read XREADGROUP's answer: pairs, or in a cluster's client a mapping of lists."""
    if isinstance(reply, dict):
        return [(key, entries[0]) for key, entries in reply.items()]
    return reply or []
