"""A group's pending entries: those that were delivered and not acknowledged."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any, NamedTuple

from redis.exceptions import ResponseError

from vigilry_ingest.stream.redis_keys import events_key

_REMOVE_IDLE = files("vigilry_ingest.stream.consuming").joinpath("remove_idle.lua").read_text()
_AT_ONCE = 500


class Delivery(NamedTuple):
    """One entry as the broker delivered it; ``attempts`` counts this delivery too."""

    partition: int
    entry_id: bytes
    entry: Mapping[bytes, bytes]
    attempts: int


def make_group(client: Any, partition: int, group: str) -> None:
    """Make a group that begins with the oldest entry; one that exists stays as it is.

    Raises redis.RedisError.
    """
    try:
        client.xgroup_create(events_key(partition), group, id="0", mkstream=True)
    except ResponseError as error:
        if not str(error).startswith("BUSYGROUP"):
            raise


def pending_ids(client: Any, partition: int, group: str) -> list[bytes]:
    """List what was delivered to any worker of the group and not acknowledged, oldest first.

    Raises redis.RedisError.
    """
    found: list[bytes] = []
    start = b"-"
    while page := client.xpending_range(events_key(partition), group, min=start, max="+", count=_AT_ONCE):
        found += [each["message_id"] for each in page]
        start = b"(" + found[-1]
    return found


def claim(client: Any, partition: int, group: str, name: str, entry_id: bytes) -> Delivery | None:
    """Take one pending entry, whoever had it, and count one more delivery; None when it is pending no more.

    Only for the worker that has the partition. The delivery is counted when the entry is really about to be
    handled, so that a worker which dies with many in hand brings none of them nearer to the dead letters but
    the one that it was at. Raises redis.RedisError.
    """
    key = events_key(partition)
    claimed = client.xclaim(key, group, name, min_idle_time=0, message_ids=[entry_id])
    if not claimed:
        return None
    state = client.xpending_range(key, group, min=entry_id, max=entry_id, count=1)
    return Delivery(partition, entry_id, claimed[0][1], state[0]["times_delivered"] if state else 1)


def uncount(client: Any, group: str, name: str, deliveries: Sequence[Delivery]) -> None:
    """Take back the counting of deliveries that were no real tries.

    Raises redis.RedisError.
    """
    alike: dict[tuple[int, int], list[bytes]] = defaultdict(list)
    for each in deliveries:
        alike[each.partition, each.attempts].append(each.entry_id)
    for (partition, attempts), entry_ids in alike.items():
        client.xclaim(
            events_key(partition), group, name, min_idle_time=0, message_ids=entry_ids,
            retrycount=attempts - 1, justid=True,
        )  # fmt: skip


def has_strays(client: Any, partition: int, group: str, name: str) -> bool:
    """Tell whether entries are pending with other workers of the group: one that slept past its lease, in the
    middle of a read, has them and leaves them.

    Raises redis.RedisError.
    """
    pending = client.xpending(events_key(partition), group)
    return any(consumer["name"] != name.encode() for consumer in pending["consumers"] or ())


def remove_idle_consumers(client: Any, partition: int, group: str, name: str) -> None:
    """Remove the group's other consumers that have nothing left; they are workers of the past.

    Only for the worker that has the partition. Raises redis.RedisError.
    """
    client.eval(_REMOVE_IDLE, 1, events_key(partition), group, name)
