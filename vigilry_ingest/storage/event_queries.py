"""Queries of stored events: by jobId, by id, or by a filter."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Engine, Select, func, select

from vigilry_ingest.domain.event import Event
from vigilry_ingest.domain.times import rfc3339
from vigilry_ingest.storage.engine import session_on
from vigilry_ingest.storage.models import EventCorrelation, StoredEvent

_PAGE_SIZE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Conditions on stored events; None matches any.

    ``project`` is an id; ``since`` is inclusive and ``until`` exclusive, both timezone-aware.
    """

    project: str | None = None
    severity: str | None = None
    kind: str | None = None
    type: str | None = None
    group: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    correlation: Mapping[str, str] | None = None

    def conditions(self) -> Iterator[ColumnElement[bool]]:
        """Yield the conditions on the events table."""
        if self.project is not None:
            yield StoredEvent.project_id == self.project
        for column, value in (
            (StoredEvent.severity, self.severity),
            (StoredEvent.kind, self.kind),
            (StoredEvent.type, self.type),
            (StoredEvent.event_group, self.group),
        ):
            if value is not None:
                yield column == value
        if self.since is not None:
            yield StoredEvent.received_at >= self.since
        if self.until is not None:
            yield StoredEvent.received_at < self.until
        for name, text in (self.correlation or {}).items():
            yield StoredEvent.id.in_(
                select(EventCorrelation.event_id).where(
                    EventCorrelation.name == name, EventCorrelation.value == text
                )
            )


def find_job(engine: Engine, project_id: str, environment: str, job_number: int) -> StoredEvent | None:
    """Return the event of a project's environment with this job number, or None.

    Raises DatabaseError.
    """
    with session_on(engine) as session:
        return session.scalar(
            select(StoredEvent).where(
                StoredEvent.project_id == project_id,
                StoredEvent.environment == environment,
                StoredEvent.job_number == job_number,
            )
        )


def find_event(
    engine: Engine, *, event_id: str | None = None, job_number: int | None = None
) -> list[StoredEvent]:
    """Return the events of any project with this id or job number; partitions may share a job number.

    Raises DatabaseError.
    """
    condition = StoredEvent.id == event_id if event_id else StoredEvent.job_number == job_number
    with session_on(engine) as session:
        return list(session.scalars(select(StoredEvent).where(condition)))


def newest_events(engine: Engine, wanted: Filter, limit: int) -> list[StoredEvent]:
    """Return up to ``limit`` matching events, newest first.

    Raises DatabaseError.
    """
    query = _select(wanted).order_by(StoredEvent.received_at.desc(), StoredEvent.id.desc()).limit(limit)
    with session_on(engine) as session:
        return list(session.scalars(query))


def count_events(engine: Engine, wanted: Filter) -> int:
    """Return the number of matching events.

    Raises DatabaseError.
    """
    with session_on(engine) as session:
        return session.scalar(select(func.count()).select_from(_select(wanted).subquery())) or 0


def projects_with_events(engine: Engine) -> Iterator[str]:
    """Yield the ids of the projects that have stored events, also of those that no longer exist.

    Each is one look-up in an index. Raises DatabaseError.
    """
    last: str | None = ""
    while True:
        with session_on(engine) as session:
            last = session.scalar(
                select(func.min(StoredEvent.project_id)).where(StoredEvent.project_id > last)
            )
        if last is None:
            return
        yield last


def oldest_time(engine: Engine, project_id: str | None = None) -> datetime | None:
    """Return when the oldest stored event was received, of a project or of all; None if there is none.

    Raises DatabaseError.
    """
    query = select(StoredEvent.received_at).order_by(StoredEvent.received_at).limit(1)
    if project_id is not None:
        query = query.where(StoredEvent.project_id == project_id)
    with session_on(engine) as session:
        return session.scalar(query)


def oldest_first(engine: Engine, wanted: Filter) -> Iterator[StoredEvent]:
    """Yield all matching events in the order of their jobIds, fetched in pages.

    Raises DatabaseError.
    """
    after: tuple[int, str] | None = None
    while True:
        query = _select(wanted).order_by(StoredEvent.job_number, StoredEvent.id).limit(_PAGE_SIZE)
        if after is not None:
            number, event_id = after
            query = query.where(
                (StoredEvent.job_number > number)
                | ((StoredEvent.job_number == number) & (StoredEvent.id > event_id))
            )
        with session_on(engine) as session:
            page = list(session.scalars(query))
        yield from page
        if len(page) < _PAGE_SIZE:
            return
        after = page[-1].job_number, page[-1].id


def to_event(row: StoredEvent) -> Event:
    """Return the event that a row was written from."""
    return Event(
        id=row.id,
        project_id=row.project_id,
        environment=row.environment,
        kind=row.kind,
        type=row.type,
        severity=row.severity,
        source=row.source,
        message=row.message,
        correlation=None if row.correlation is None else row.correlation.encode(),
        payload=None if row.payload is None else row.payload.encode(),
        received_at=rfc3339(row.received_at),
        idempotency_key=row.idempotency_key,
        traceparent=row.traceparent,
        request_id=row.request_id,
    )


def _select(wanted: Filter) -> Select[StoredEvent]:
    return select(StoredEvent).where(*wanted.conditions())
