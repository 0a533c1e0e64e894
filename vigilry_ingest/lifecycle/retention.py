"""Retention: which events are past their time, and purging them."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import Engine

from vigilry_ingest.api_keys.projects import retention_by_project
from vigilry_ingest.storage.event_deletion import delete_events
from vigilry_ingest.storage.event_queries import Filter, oldest_time, projects_with_events
from vigilry_ingest.storage.models import StoredEvent
from vigilry_ingest.storage.partitions.dropping import drop_expired
from vigilry_ingest.storage.partitions.layout import layouts
from vigilry_ingest.stream.erasure import erase_dead_letters

# Of a project's id: the time before which its events are past their time, or None if all are kept.
Cutoff = Callable[[str], datetime | None]


class Retention(NamedTuple):
    """For how many days events are kept, by project and by default; 0 is for ever."""

    default_days: int
    by_project: Mapping[str, int]

    @classmethod
    def read(cls, engine: Engine, default_days: int) -> "Retention":
        """Read the projects' days.

        Raises DatabaseError.
        """
        return cls(default_days, retention_by_project(engine))

    @property
    def is_limited(self) -> bool:
        """Return whether any event is not kept for ever."""
        return self.default_days > 0 or any(self.by_project.values())

    def cutoff(self, now: datetime) -> Cutoff:
        """Return the cutoffs of all projects at a time."""

        def of(project_id: str) -> datetime | None:
            days = self.by_project.get(project_id, self.default_days)
            return now - timedelta(days=days) if days else None

        return of


def expired_events(engine: Engine, cutoff: Cutoff) -> Iterator[Filter]:
    """Yield a filter for the events of each project from before its cutoff.

    Raises DatabaseError.
    """
    for project_id in projects_with_events(engine):
        until = cutoff(project_id)
        if until is not None:
            yield Filter(project=project_id, until=until)


def by_partition(engine: Engine, cutoff: Cutoff, now: datetime) -> Cutoff:
    """Return the cutoffs moved back to the start of a partition, so that whole ones expire.

    Events of a project with few days would be kept much longer by that, so its cutoff is moved only if its
    time is at least twice that of the partition. Raises DatabaseError.
    """
    found = layouts(engine)
    if not all(each.is_managed for each in found.values()):
        return cutoff
    spans = [(each.start, each.end) for each in found[StoredEvent.__tablename__].ranges]

    def of(project_id: str) -> datetime | None:
        until = cutoff(project_id)
        for start, end in spans:
            if start and end and until and start <= until < end and now - until >= 2 * (end - start):
                return start
        return until

    return of


def purge_events(engine: Engine, cutoff: Cutoff) -> Iterator[int]:
    """Delete the stored events from before their cutoff; yield the size of each batch or dropped partition.

    That of a large partition is an estimate. Raises DatabaseError.
    """

    def is_expired(project_id: str, end: datetime) -> bool:
        until = cutoff(project_id)
        return until is not None and until >= end

    yield from drop_expired(engine, is_expired)
    for expired in expired_events(engine, cutoff):
        yield from delete_events(engine, expired)


def purge_dead_letters(client: Any, partitions: int, cutoff: Cutoff) -> Iterator[int]:
    """Delete the dead letters of events from before their cutoff; yield 1 for each.

    Raises redis.RedisError.
    """
    for partition in range(partitions):
        yield from erase_dead_letters(client, partition, partial(is_expired, cutoff=cutoff))


def is_expired(entry: Mapping[bytes, bytes], cutoff: Cutoff) -> bool:
    """Return whether the event of an entry was received before its cutoff; False if it does not say when."""
    until = cutoff(entry.get(b"project_id", b"").decode("utf-8", "replace"))
    try:
        received_at = datetime.fromisoformat(entry.get(b"received_at", b"").decode())
    except ValueError:
        return False
    return until is not None and received_at.replace(tzinfo=received_at.tzinfo or UTC) < until


def overdue_s(engine: Engine, cutoff: Cutoff) -> float:
    """Return for how many seconds the most overdue event has been past its time, or 0.

    Raises DatabaseError.
    """
    overdue = timedelta()
    for expired in expired_events(engine, cutoff):
        oldest = oldest_time(engine, expired.project)
        if oldest is not None and expired.until is not None:
            overdue = max(overdue, expired.until - oldest)
    return overdue.total_seconds()
