"""Trimming what every group has acknowledged, and telling how far each group has come."""

import time
from importlib.resources import files
from itertools import islice
from typing import Any, NamedTuple

from redis.exceptions import ResponseError

from vigilry_ingest.stream.pagination import entries_of
from vigilry_ingest.stream.redis_keys import DEFAULT_GROUP, dead_key, events_key, lease_key

_TRIM = files("vigilry_ingest.stream.consuming").joinpath("trim.lua").read_text()
# A group with something to do whose consumers have all been away for this long looks abandoned.
_ABANDONED_S = 3600.0
# Each is read with its body, by every scrape of the metrics.
_MAX_COUNTED = 500


class GroupState(NamedTuple):
    """How far a group has come on one partition; ``oldest_s`` is the age of its oldest open entry."""

    name: str
    lag: int
    pending: int
    oldest_s: float
    worker: str | None
    is_abandoned: bool


class PartitionState(NamedTuple):
    """One partition's stream: its entries, its dead letters, and its groups."""

    partition: int
    length: int
    dead: int
    groups: list[GroupState]


def trim(client: Any, partition: int) -> int:
    """Trim a stream of what all of its groups have acknowledged, and return how many entries went.

    None go before the default group was made.

    Raises redis.RedisError.
    """
    return int(client.eval(_TRIM, 1, events_key(partition), DEFAULT_GROUP))


def forget_group(client: Any, partition: int, group: str) -> bool:
    """Remove a group from a stream; False when it was not there.

    Raises redis.RedisError.
    """
    try:
        return bool(client.xgroup_destroy(events_key(partition), group))
    except ResponseError:
        # There is no such stream.
        return False


def has_group(client: Any, partition: int, group: str) -> bool:
    """Tell whether a stream has a group.

    Raises redis.RedisError.
    """
    return group.encode() in [each["name"] for each in _groups(client, events_key(partition))]


def partition_state(client: Any, partition: int) -> PartitionState:
    """Look at one partition.

    Raises redis.RedisError.
    """
    key = events_key(partition)
    length = int(client.xlen(key))
    return PartitionState(
        partition,
        length,
        int(client.xlen(dead_key(partition))),
        [_group_state(client, partition, group, length) for group in _groups(client, key)],
    )


def _groups(client: Any, key: str) -> list[dict[str, Any]]:
    """List a stream's groups; a stream that is not there has none."""
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
    lag = _lag(client, key, group, most=length - int(pending["pending"]))
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


def _lag(client: Any, key: str, group: dict[str, Any], *, most: int) -> int:
    # A Redis before 7.0 gives none, nor does any server once an entry was deleted out of the middle. Then the
    # first of them are counted, and where there are more, all that stands on the stream is taken for
    # undelivered: too much while another group is further behind, as nothing is trimmed before all have it.
    if group.get("lag") is not None:
        return int(group["lag"])
    undelivered = entries_of(client, key, b"(" + group["last-delivered-id"])
    counted = sum(1 for _ in islice(undelivered, _MAX_COUNTED))
    return counted if counted < _MAX_COUNTED else max(most, counted)


def _idle_s(client: Any, key: str, group: str) -> float:
    idle = [consumer["idle"] for consumer in client.xinfo_consumers(key, group)]
    return min(idle) / 1000 if idle else float("inf")
