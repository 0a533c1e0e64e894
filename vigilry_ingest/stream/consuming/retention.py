"""Trimming entries that every group has acknowledged, and the progress of each group."""

import time
from itertools import islice
from typing import Any, NamedTuple

from redis.exceptions import ResponseError

from vigilry_ingest.stream.consuming.scripts import Script
from vigilry_ingest.stream.entry_size import COUNTING, query_sizes
from vigilry_ingest.stream.pagination import iter_entries
from vigilry_ingest.stream.redis_keys import DEFAULT_GROUP, dead_key, events_key, lease_key

_TRIM = Script.from_file("trim.lua", COUNTING)
# A group with open entries looks abandoned when all of its consumers have been idle for this long.
_ABANDONED_S = 3600.0
# Counting reads whole entries, at each scrape of the metrics.
_MAX_COUNTED = 500


class GroupState(NamedTuple):
    """The progress of a group on a partition; ``oldest_s`` is the age of its oldest unacknowledged entry."""

    name: str
    lag: int
    pending: int
    oldest_s: float
    worker: str | None
    is_abandoned: bool


class PartitionState(NamedTuple):
    """A partition: the number of its entries, their bytes, the number of dead letters, and its groups."""

    partition: int
    length: int
    bytes: int
    dead: int
    groups: list[GroupState]


def trim(client: Any, partition: int) -> int:
    """Trim the entries of a stream that all groups have acknowledged, and return their number.

    Trims nothing before the default group exists. Raises redis.RedisError.
    """
    return int(_TRIM.run(client, (events_key(partition),), DEFAULT_GROUP))


def forget_group(client: Any, partition: int, group: str) -> bool:
    """Remove a group from a stream; False when it does not exist.

    Raises redis.RedisError.
    """
    try:
        return bool(client.xgroup_destroy(events_key(partition), group))
    except ResponseError:
        # The stream does not exist.
        return False


def has_group(client: Any, partition: int, group: str) -> bool:
    """Return whether a stream has a group.

    Raises redis.RedisError.
    """
    return group.encode() in [each["name"] for each in _groups(client, events_key(partition))]


def partition_state(client: Any, partition: int) -> PartitionState:
    """Return the state of a partition.

    Raises redis.RedisError.
    """
    key = events_key(partition)
    length = int(client.xlen(key))
    return PartitionState(
        partition,
        length,
        query_sizes(client, [partition])[partition] or 0,
        int(client.xlen(dead_key(partition))),
        [_group_state(client, partition, group, length) for group in _groups(client, key)],
    )


def _groups(client: Any, key: str) -> list[dict[str, Any]]:
    """Return the groups of a stream, none when it does not exist."""
    try:
        groups: list[dict[str, Any]] = client.xinfo_groups(key)
    except ResponseError as error:
        if "no such key" not in str(error):
            raise
        return []
    return groups


def _group_state(client: Any, partition: int, group: dict[str, Any], length: int) -> GroupState:
    key = events_key(partition)
    name = group["name"].decode()
    pending = client.xpending(key, name)
    lag = _lag(client, key, group, max_lag=length - int(pending["pending"]))
    oldest = pending["min"] if pending["pending"] else None
    if oldest is None and lag:
        following = client.xrange(key, b"(" + group["last-delivered-id"], count=1)
        oldest = following[0][0] if following else None
    oldest_s = 0.0 if oldest is None else max(time.time() - int(oldest.partition(b"-")[0]) / 1000, 0.0)
    worker = client.get(lease_key(partition, name))
    return GroupState(
        name,
        lag,
        int(pending["pending"]),
        oldest_s,
        worker.decode() if worker else None,
        worker is None and min(oldest_s, _idle_s(client, key, name)) > _ABANDONED_S,
    )


def _lag(client: Any, key: str, group: dict[str, Any], *, max_lag: int) -> int:
    # Redis before 7.0 does not report the lag, nor does any server after an entry in the middle was deleted.
    # Then undelivered entries are counted up to a limit. Beyond it, all entries of the stream that are not
    # pending count, which is too many while another group is further behind.
    if group.get("lag") is not None:
        return int(group["lag"])
    undelivered = iter_entries(client, key, b"(" + group["last-delivered-id"])
    counted = sum(1 for _ in islice(undelivered, _MAX_COUNTED))
    return counted if counted < _MAX_COUNTED else max(max_lag, counted)


def _idle_s(client: Any, key: str, group: str) -> float:
    idle = [consumer["idle"] for consumer in client.xinfo_consumers(key, group)]
    return min(idle) / 1000 if idle else float("inf")
