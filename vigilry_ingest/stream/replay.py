"""Feeding a group again with events that were processed before."""

import itertools
import time
from collections.abc import Iterable, Iterator
from typing import Any

from vigilry_ingest.domain.event import Event
from vigilry_ingest.stream.redis_keys import entry_id_of, events_key, partition_of

_AT_ONCE = 200
_WAIT_S = 0.5


def replay(
    client: Any, events: Iterable[tuple[str, Event]], *, group: str, partitions: int, max_entries: int
) -> Iterator[int]:
    """Append events, each with its jobId, for one group alone; yield how many went at each step.

    Waits while a stream is full: the senders' events come first. Raises redis.RedisError.
    """
    remaining = iter(events)
    while page := list(itertools.islice(remaining, _AT_ONCE)):
        for job_id, event in page:
            key = events_key(partition_of(event.project_id, partitions))
            while client.xlen(key) >= max_entries:
                yield 0
                time.sleep(_WAIT_S)
            own = [b"for_group", group, b"first_entry", entry_id_of(job_id) or "", *event.to_entry()]
            client.execute_command("XADD", key, "*", *own)
        yield len(page)
