"""Replaying events to a single consumer group."""

import itertools
import time
from collections.abc import Iterable, Iterator
from typing import Any

from vigilry_ingest.domain.event import Event
from vigilry_ingest.stream.entry_size import COUNTING
from vigilry_ingest.stream.redis_keys import entry_id_of, events_key, partition_of

_PAGE_SIZE = 200
_PAUSE_S = 0.5

_APPEND = (
    COUNTING
    + """
local bytes = bytes_of(ARGV, 1, #ARGV)
local size = add_bytes(KEYS[1], bytes)
local id = redis.call('XADD', KEYS[1], '*', unpack(ARGV))
mark_size(KEYS[1], size, bytes, 0, id)
"""
)


def replay(
    client: Any, events: Iterable[tuple[str, Event]], *, group: str, partitions: int, max_entries: int
) -> Iterator[int]:
    """Append events, given with their jobIds, for one group only; yield the number appended at each step.

    Waits while a stream is full, so that senders are not refused. Raises redis.RedisError.
    """
    remaining = iter(events)
    while page := list(itertools.islice(remaining, _PAGE_SIZE)):
        for job_id, event in page:
            key = events_key(partition_of(event.project_id, partitions))
            while client.xlen(key) >= max_entries:
                yield 0
                time.sleep(_PAUSE_S)
            fields = [b"for_group", group, b"first_entry", entry_id_of(job_id) or "", *event.to_entry()]
            client.eval(_APPEND, 1, key, *fields)
        yield len(page)
