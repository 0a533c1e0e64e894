"""Pending entries of a consumer group: delivered and not yet acknowledged."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from redis.exceptions import ResponseError

from vigilry_ingest.stream.consuming.scripts import Script
from vigilry_ingest.stream.redis_keys import events_key

_REMOVE_IDLE = Script.from_file("remove_idle.lua")
_MAKE_GROUP = Script("return redis.call('XGROUP', 'CREATE', KEYS[1], ARGV[1], '0', 'MKSTREAM')")
_PAGE_SIZE = 500


class Delivery(NamedTuple):
    """One entry as the broker delivered it; ``attempts`` counts this delivery too."""

    partition: int
    entry_id: bytes
    entry: Mapping[bytes, bytes]
    attempts: int


def make_group(client: Any, partition: int, group: str) -> None:
    """Create a group that starts at the oldest entry, unless it exists.

    Raises redis.RedisError.
    """
    try:
        _MAKE_GROUP.run(client, (events_key(partition),), group)
    except ResponseError as error:
        if not str(error).startswith("BUSYGROUP"):
            raise


def pending_ids(client: Any, partition: int, group: str) -> list[bytes]:
    """Return the ids of a group's pending entries, of all consumers, oldest first.

    Raises redis.RedisError.
    """
    found: list[bytes] = []
    start = b"-"
    while page := client.xpending_range(events_key(partition), group, min=start, max="+", count=_PAGE_SIZE):
        found += [each["message_id"] for each in page]
        start = b"(" + found[-1]
    return found


def claim(client: Any, partition: int, group: str, name: str, entry_id: bytes) -> Delivery | None:
    """Claim one pending entry from any consumer, which counts as a delivery; None if it is no longer pending.

    Only for the worker that holds the partition, and only just before the entry is handled: a worker that
    dies with many pending entries then adds a delivery to the one that it was processing, and to no other.
    Raises redis.RedisError.
    """
    key = events_key(partition)
    claimed = client.xclaim(key, group, name, min_idle_time=0, message_ids=[entry_id])
    if not claimed:
        return None
    state = client.xpending_range(key, group, min=entry_id, max=entry_id, count=1)
    return Delivery(partition, entry_id, claimed[0][1], state[0]["times_delivered"] if state else 1)


def undo_delivery_count(client: Any, group: str, name: str, deliveries: Sequence[Delivery]) -> None:
    """Undo the delivery count of entries that were not attempted.

    Raises redis.RedisError.
    """
    by_count: dict[tuple[int, int], list[bytes]] = defaultdict(list)
    for delivery in deliveries:
        by_count[delivery.partition, delivery.attempts].append(delivery.entry_id)
    for (partition, attempts), entry_ids in by_count.items():
        client.xclaim(
            events_key(partition), group, name, min_idle_time=0, message_ids=entry_ids,
            retrycount=attempts - 1, justid=True,
        )  # fmt: skip


def has_entries_of_others(client: Any, partition: int, group: str, name: str) -> bool:
    """Return whether other consumers of the group have pending entries.

    A worker leaves some behind when it is suspended during a read and its lease expires. Raises
    redis.RedisError.
    """
    pending = client.xpending(events_key(partition), group)
    return any(consumer["name"] != name.encode() for consumer in pending["consumers"] or ())


def remove_idle_consumers(client: Any, partition: int, group: str, name: str) -> None:
    """Remove the group's other consumers that have no pending entries, which are workers that have ended.

    Only for the worker that holds the partition. Raises redis.RedisError.
    """
    _REMOVE_IDLE.run(client, (events_key(partition),), group, name)
