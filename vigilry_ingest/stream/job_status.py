"""Where a job stands, as far as the streams tell."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from redis.exceptions import RedisError, ResponseError

from vigilry_ingest.domain.event import Event, InvalidEntry
from vigilry_ingest.stream.connection.broker import Broker
from vigilry_ingest.stream.consuming.dead_letters import DROPPED
from vigilry_ingest.stream.errors import explain
from vigilry_ingest.stream.redis_keys import (
    dead_index_key,
    dead_key,
    entry_id_of,
    events_key,
    order_of,
    partition_of,
)

# A revived entry may die and be revived again; each time the index leads one step on.
_MAX_STEPS = 20


class JobStatus(NamedTuple):
    """Where a job stands for a group."""

    status: Literal["queued", "processing", "processed", "dead"]
    event: Event
    attempts: int | None = None
    reason: str | None = None


def find_job_status(
    broker: Broker, project_id: str, job_id: str, *, group: str, timeout_s: float
) -> JobStatus | None:
    """Find out where a project's job stands for a group; None when the streams know nothing of it.

    Raises BrokerError.
    """
    partition = partition_of(project_id, broker.partitions)
    first_id = entry_id_of(job_id)
    if first_id is None:
        return None
    at = first_id
    for _ in range(_MAX_STEPS):
        entries, pending, groups, dead_id = _replies(
            broker.query_partition(partition, _questions(partition, group, at, first_id), timeout_s)
        )
        if dead_id and dead_id.startswith(b">") and dead_id[1:].decode() != at:
            at = dead_id[1:].decode()
            continue
        if dead_id and not dead_id.startswith(b">") and dead_id.decode() != DROPPED:
            return _dead(broker, partition, dead_id.decode(), project_id, timeout_s)
        event = _own_event(entries[0][1], project_id) if entries else None
        if event is not None and dead_id and dead_id.decode() == DROPPED:
            return JobStatus("dead", event, reason="Its dead letter was deleted.")
        return None if event is None else _alive(event, at, pending, groups, group)
    return None


def _questions(partition: int, group: str, at: str, first_id: str) -> list[tuple[str | int, ...]]:
    key = events_key(partition)
    return [
        ("XRANGE", key, at, at),
        ("XPENDING", key, group, at, at, 1),
        ("XINFO", "GROUPS", key),
        ("HGET", dead_index_key(partition), f"{group} {first_id}"),
    ]


def _replies(replies: list[Any]) -> list[Any]:
    """Read "there is no such group" and "no such stream" as empty, and raise any other refusal."""
    read: list[Any] = []
    for reply in replies:
        if isinstance(reply, ResponseError) and str(reply).startswith(("NOGROUP", "no such key")):
            read.append([])
        elif isinstance(reply, RedisError):
            raise explain(reply)
        else:
            read.append(reply)
    return read


def _dead(
    broker: Broker, partition: int, dead_id: str, project_id: str, timeout_s: float
) -> JobStatus | None:
    (letters,) = _replies(
        broker.query_partition(partition, [("XRANGE", dead_key(partition), dead_id, dead_id)], timeout_s)
    )
    if not letters:
        return None
    fields = _mapping(letters[0][1])
    event = _own_event(letters[0][1], project_id)
    if event is None:
        return None
    reason = fields[b"dead_reason"].decode("utf-8", "replace")
    return JobStatus("dead", event, int(fields[b"dead_deliveries"]), reason)


def _alive(event: Event, at: str, pending: list[Any], groups: list[Any], group: str) -> JobStatus:
    if pending:
        return JobStatus("processing", event, int(pending[0][3]))
    mine = (_mapping(each) for each in groups)
    last = next((each[b"last-delivered-id"] for each in mine if each[b"name"] == group.encode()), b"0-0")
    is_delivered = order_of(at.encode()) <= order_of(last)
    return JobStatus("processed" if is_delivered else "queued", event)


def _own_event(fields: Any, project_id: str) -> Event | None:
    """Read an entry, unless it is another project's: that one is as unknown as one that never was."""
    try:
        event = Event.from_entry(_mapping(fields))
    except InvalidEntry:
        return None
    return event if event.project_id == project_id else None


def _mapping(flat: Any) -> Mapping[bytes, Any]:
    return flat if isinstance(flat, dict) else dict(zip(flat[::2], flat[1::2], strict=True))
