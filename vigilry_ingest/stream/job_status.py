"""The status of jobs, according to the streams."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from redis.exceptions import RedisError, ResponseError

from vigilry_ingest.domain.event import Event, InvalidEntry
from vigilry_ingest.stream.connection.broker import Broker
from vigilry_ingest.stream.consuming.dead_letters import DROPPED, FailureClass
from vigilry_ingest.stream.errors import explain
from vigilry_ingest.stream.redis_keys import (
    dead_index_key,
    dead_key,
    entry_id_of,
    events_key,
    order_of,
    partition_of,
)

# The index is read again when it points to another entry, because that one may be requeued in between.
_MAX_LOOKUPS = 20


class JobStatus(NamedTuple):
    """The status of a job for a group; ``reason`` is the class of the failure of a dead one."""

    status: Literal["queued", "processing", "processed", "dead"]
    event: Event
    attempts: int | None = None
    reason: FailureClass | None = None


class _Owner(NamedTuple):
    """Whose keys see a job: those of its project and environment."""

    project_id: str
    environment: str


def find_job_status(
    broker: Broker, project_id: str, environment: str, job_id: str, *, group: str, timeout_s: float
) -> JobStatus | None:
    """Return the status of a job for a group, or None if a project's environment has no such entry.

    Raises BrokerError.
    """
    partition = partition_of(project_id, broker.partitions)
    first_id = entry_id_of(job_id)
    if first_id is None:
        return None
    owner = _Owner(project_id, environment)
    entry_id = first_id
    for _ in range(_MAX_LOOKUPS):
        entries, pending, groups, dead_id = _check_replies(
            broker.query_partition(partition, _queries(partition, group, entry_id, first_id), timeout_s)
        )
        if dead_id and dead_id.startswith(b">") and dead_id[1:].decode() != entry_id:
            entry_id = dead_id[1:].decode()
            continue
        if dead_id and not dead_id.startswith(b">") and dead_id.decode() != DROPPED:
            return _dead(broker, partition, dead_id.decode(), owner, timeout_s)
        event = _own_event(entries[0][1], owner) if entries else None
        if event is not None and dead_id and dead_id.decode() == DROPPED:
            return JobStatus("dead", event, reason=FailureClass.DELETED)
        return None if event is None else _alive(event, entry_id, pending, groups, group)
    return None


def _queries(partition: int, group: str, entry_id: str, first_id: str) -> list[tuple[str | int, ...]]:
    key = events_key(partition)
    return [
        ("XRANGE", key, entry_id, entry_id),
        ("XPENDING", key, group, entry_id, entry_id, 1),
        ("XINFO", "GROUPS", key),
        ("HGET", dead_index_key(partition), f"{group} {first_id}"),
    ]


def _check_replies(replies: list[Any]) -> list[Any]:
    """Replace errors about missing groups and streams by empty replies, and raise all others."""
    checked: list[Any] = []
    for reply in replies:
        if isinstance(reply, ResponseError) and str(reply).startswith(("NOGROUP", "no such key")):
            checked.append([])
        elif isinstance(reply, RedisError):
            raise explain(reply)
        else:
            checked.append(reply)
    return checked


def _dead(broker: Broker, partition: int, dead_id: str, owner: _Owner, timeout_s: float) -> JobStatus | None:
    (letters,) = _check_replies(
        broker.query_partition(partition, [("XRANGE", dead_key(partition), dead_id, dead_id)], timeout_s)
    )
    if not letters:
        return None
    fields = _mapping(letters[0][1])
    event = _own_event(letters[0][1], owner)
    if event is None:
        return None
    # The handler's message is for operators: it may have data of others, or a password.
    reason = FailureClass.read(fields.get(b"dead_class", b""))
    deliveries = fields.get(b"dead_deliveries", b"")
    return JobStatus("dead", event, int(deliveries) if deliveries.isdigit() else None, reason)


def _alive(event: Event, entry_id: str, pending: list[Any], groups: list[Any], group: str) -> JobStatus:
    if pending:
        return JobStatus("processing", event, int(pending[0][3]))
    states = (_mapping(each) for each in groups)
    last = next((each[b"last-delivered-id"] for each in states if each[b"name"] == group.encode()), b"0-0")
    is_delivered = order_of(entry_id.encode()) <= order_of(last)
    return JobStatus("processed" if is_delivered else "queued", event)


def _own_event(fields: Any, owner: _Owner) -> Event | None:
    """Parse an entry, or return None if it belongs to another owner, as if it did not exist."""
    try:
        event = Event.from_entry(_mapping(fields))
    except InvalidEntry:
        return None
    return event if (event.project_id, event.environment) == owner else None


def _mapping(flat: Any) -> Mapping[bytes, Any]:
    return flat if isinstance(flat, dict) else dict(zip(flat[::2], flat[1::2], strict=True))
