"""Finding stored events: by jobId, by id, or by what a support engineer asks for."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Engine, Select, func, select

from vigilry_ingest.domain.event import Event
from vigilry_ingest.storage.engine import session_on
from vigilry_ingest.storage.models import EventCorrelation, StoredEvent

_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which events are asked for; None means any.

    ``project`` is an id; ``until`` is exclusive, times are aware.
    """

    project: str | None = None
    severity: str | None = None
    kind: str | None = None
    type: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    correlation: Mapping[str, str] | None = None

    def conditions(self) -> Iterator[ColumnElement[bool]]:
        """Give the filter's conditions on the table of events."""
        if self.project is not None:
            yield StoredEvent.project_id == self.project
        for column, value in (
            (StoredEvent.severity, self.severity),
            (StoredEvent.kind, self.kind),
            (StoredEvent.type, self.type),
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


def find_job(engine: Engine, project_id: str, job_number: int) -> StoredEvent | None:
    """Find a project's event by the number of its jobId.

    Raises DatabaseError.
    """
    with session_on(engine) as session:
        return session.scalar(
            select(StoredEvent).where(
                StoredEvent.project_id == project_id, StoredEvent.job_number == job_number
            )
        )


def find_event(
    engine: Engine, *, event_id: str | None = None, job_number: int | None = None
) -> list[StoredEvent]:
    """Find events of any project by id or by job number; partitions may share a job number.

    Raises DatabaseError.
    """
    condition = StoredEvent.id == event_id if event_id else StoredEvent.job_number == job_number
    with session_on(engine) as session:
        return list(session.scalars(select(StoredEvent).where(condition)))


def newest_events(engine: Engine, wanted: Filter, most: int) -> list[StoredEvent]:
    """List the newest events that fit, newest first.

    Raises DatabaseError.
    """
    query = _select(wanted).order_by(StoredEvent.received_at.desc(), StoredEvent.id.desc()).limit(most)
    with session_on(engine) as session:
        return list(session.scalars(query))


def count_events(engine: Engine, wanted: Filter) -> int:
    """Count the events that fit.

    Raises DatabaseError.
    """
    with session_on(engine) as session:
        return session.scalar(select(func.count()).select_from(_select(wanted).subquery())) or 0


def oldest_first(engine: Engine, wanted: Filter) -> Iterator[StoredEvent]:
    """Yield every event that fits in the order of its jobId, a page at a time.

    Raises DatabaseError.
    """
    after: tuple[int, str] | None = None
    while True:
        query = _select(wanted).order_by(StoredEvent.job_number, StoredEvent.id).limit(_AT_ONCE)
        if after is not None:
            number, event_id = after
            query = query.where(
                (StoredEvent.job_number > number)
                | ((StoredEvent.job_number == number) & (StoredEvent.id > event_id))
            )
        with session_on(engine) as session:
            page = list(session.scalars(query))
        yield from page
        if len(page) < _AT_ONCE:
            return
        after = page[-1].job_number, page[-1].id


def to_event(row: StoredEvent) -> Event:
    """Make the event again that a row was written from."""
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
        received_at=row.received_at.isoformat(timespec="milliseconds")[:-6] + "Z",
        idempotency_key=row.idempotency_key,
        traceparent=row.traceparent,
        request_id=row.request_id,
    )


def _select(wanted: Filter) -> Select[StoredEvent]:
    return select(StoredEvent).where(*wanted.conditions())
