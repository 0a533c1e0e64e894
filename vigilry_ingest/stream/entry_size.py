"""The size of streams in bytes, as the scripts that append entries count it."""

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from vigilry_ingest.stream.redis_keys import events_key, size_key

# Precedes every script that appends entries.
COUNTING = files("vigilry_ingest.stream").joinpath("entry_size.lua").read_text()


def query_sizes(client: Any, partitions: Sequence[int]) -> dict[int, int | None]:
    """Return the bytes on the streams of partitions; None for entries that nobody has counted.

    Raises redis.RedisError.
    """
    with client.pipeline(transaction=False) as query:
        for partition in partitions:
            query.get(size_key(partition))
            query.xlen(events_key(partition))
        replies = query.execute()
    return {
        partition: _size(counted, length)
        for partition, counted, length in zip(partitions, replies[::2], replies[1::2], strict=True)
    }


def _size(counted: bytes | None, length: int) -> int | None:
    return None if length and not counted else int(counted or 0)
