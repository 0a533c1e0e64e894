"""Groups of errors: their counts and times, and the grouping of events that have no group yet."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Engine, bindparam, func, select, update

from vigilry_ingest.domain.fingerprint import GROUPED_KINDS, event_group, group_prefix
from vigilry_ingest.storage.engine import session_on
from vigilry_ingest.storage.event_queries import Filter, to_event
from vigilry_ingest.storage.models import StoredEvent

_PAGE_SIZE = 1000
# Events that are in memory at once; each may have a payload of several mebibytes.
_EVENTS_AT_ONCE = 20


class EventGroup(NamedTuple):
    """The events of one error; ``newest`` is the last of them that matches the filter."""

    id: str
    events: int
    first_seen: datetime
    last_seen: datetime
    newest: StoredEvent


class Step(NamedTuple):
    """A page of events that was looked at: how many, how many got another group, and the last one's id."""

    seen: int
    grouped: int
    last_id: str


def largest_groups(engine: Engine, wanted: Filter, limit: int) -> list[EventGroup]:
    """Return up to ``limit`` groups with matching events, those with most events first.

    The counts are taken from an index, not kept, so they follow every deletion of events.
    Raises DatabaseError.
    """
    group, received_at = StoredEvent.event_group, StoredEvent.received_at
    query = select(group, func.count(), func.min(received_at), func.max(received_at)).where(
        group.is_not(None)
    )
    if wanted.project is not None:
        # Reads only this part of the index. A condition on the column would make SQLite prefer an index by
        # project, and read the rows; all events of a group have the same project.
        prefix = group_prefix(wanted.project)
        query = query.where(group >= prefix, group < f"{prefix}g")
        query = query.having(func.min(StoredEvent.project_id) == wanted.project)
        wanted = replace(wanted, project=None)
    query = query.where(*wanted.conditions()).group_by(group)
    query = query.order_by(func.count().desc(), func.max(received_at).desc(), group).limit(limit)
    groups = []
    with session_on(engine) as session:
        for id_, count, first, last in session.execute(query).all():
            newest = session.scalar(
                select(StoredEvent)
                .where(group == id_, received_at == last)
                .order_by(StoredEvent.id.desc())
                .limit(1)
            )
            # It may have been deleted in between.
            if newest is not None:
                groups.append(EventGroup(newest.event_group or "", count, first, last, newest))
    return groups


def regroup(engine: Engine, *, after: str, is_all: bool) -> Iterator[Step]:
    """Set the groups of events without one, or of all events, in the order of their ids; yield each step.

    Only events with an id higher than ``after`` are looked at. Each step is one short transaction.
    Raises DatabaseError.
    """
    while True:
        query = select(StoredEvent.id, StoredEvent.kind, StoredEvent.event_group)
        query = query.where(StoredEvent.id > after).order_by(StoredEvent.id).limit(_PAGE_SIZE)
        with session_on(engine) as session:
            page = session.execute(query).all()
        if not page:
            return
        after = page[-1].id
        current = {
            id_: group for id_, kind, group in page if kind in GROUPED_KINDS and (is_all or group is None)
        }
        changes = [
            {"event_id": id_, "new_group": group}
            for id_, group in _groups_of(engine, list(current))
            if group != current[id_]
        ]
        if changes:
            statement = (
                update(StoredEvent.__table__)  # type: ignore[arg-type]  # a Table
                .where(StoredEvent.id == bindparam("event_id"))
                .values(event_group=bindparam("new_group"))
            )
            with session_on(engine) as session:
                session.connection().execute(statement, changes)
        yield Step(len(page), len(changes), after)


def _groups_of(engine: Engine, ids: list[str]) -> Iterator[tuple[str, str | None]]:
    for start in range(0, len(ids), _EVENTS_AT_ONCE):
        with session_on(engine) as session:
            rows = session.scalars(
                select(StoredEvent).where(StoredEvent.id.in_(ids[start : start + _EVENTS_AT_ONCE]))
            )
            yield from [(row.id, event_group(to_event(row))) for row in rows]
