"""Erasing events, all of a project or those with a correlation, from the database and the broker."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Engine

from vigilry_ingest.storage.audit_log import Change, query_digest, record
from vigilry_ingest.storage.correlations import searchable_members
from vigilry_ingest.storage.event_deletion import delete_events
from vigilry_ingest.storage.event_queries import Filter, count_events
from vigilry_ingest.storage.sqlite_space import return_free_space, truncate_log
from vigilry_ingest.stream.erasure import (
    count_dead_letters,
    count_entries,
    erase_dead_letters,
    erase_entries,
)
from vigilry_ingest.stream.redis_keys import partition_of

# A worker can have entries in memory that it stores after they were erased; so look again after a while.
_ROUNDS = 5
_PAUSE_S = 1.0


class Counts(NamedTuple):
    """How many events are at each place; an event can be at several."""

    events: int
    entries: int
    dead_letters: int

    def __add__(self, other: tuple[int, ...]) -> "Counts":  # type: ignore[override]  # of another sum than a tuple's
        """Add place by place."""
        return Counts(*(one + another for one, another in zip(self, other, strict=True)))

    def describe(self) -> str:
        """Return the counts in words."""
        return (
            f"{self.events:,} stored events, {self.entries:,} entries of streams and "
            f"{self.dead_letters:,} dead letters"
        )


class StoredMeanwhile(Exception):
    """A second look has found more events."""

    def __init__(self, counts: Counts) -> None:
        super().__init__(
            f"{counts.describe()} were stored meanwhile: run the command again. A worker that cannot reach "
            "the database holds events for as long."
        )


class Subject(NamedTuple):
    """What is erased: the events of a project, all of them or those with this correlation."""

    project_id: str
    correlation: Mapping[str, str]

    def filter(self) -> Filter:
        """Return the filter for stored events."""
        return Filter(project=self.project_id, correlation=self.correlation)

    def matches(self, entry: Mapping[bytes, bytes]) -> bool:
        """Return whether an entry is of such an event."""
        if entry.get(b"project_id") != self.project_id.encode():
            return False
        if not self.correlation:
            return True
        try:
            members = searchable_members(entry.get(b"correlation", b"{}"))
        except (msgspec.MsgspecError, ValueError, RecursionError):
            # Not an event: it was appended by hand.
            return False
        return all(members.get(name) == value for name, value in self.correlation.items())


class Erasure:
    """Erases a subject everywhere, and looks again until nothing is found."""

    def __init__(self, engine: Engine, client: Any, partitions: int, subject: Subject) -> None:
        self._engine = engine
        self._client = client
        self._partition = partition_of(subject.project_id, partitions)
        self._subject = subject

    def count(self) -> Counts:
        """Count what there is.

        Raises DatabaseError, redis.RedisError.
        """
        return Counts(
            count_events(self._engine, self._subject.filter()),
            count_entries(self._client, self._partition, self._subject.matches),
            count_dead_letters(self._client, self._partition, self._subject.matches),
        )

    def record(self, found: Counts) -> None:
        """Record what is erased next; the correlation, which names a person, only by its digest.

        Raises DatabaseError, and then nothing must be erased.
        """
        project_id, correlation = self._subject
        digest = query_digest(correlation) if correlation else None
        after = {"query_sha256": digest} | found._asdict()
        record(self._engine, Change("events.erase", project_id, project_id, None, after))

    def run(self) -> Iterator[Counts]:
        """Erase; yield what each step has erased. At the end `count` is zero unless a worker stores more.

        Streams come first, because what is still on them would be stored. Raises DatabaseError,
        redis.RedisError.
        """
        for round_ in range(_ROUNDS):
            if round_:
                time.sleep(_PAUSE_S)
            erased = Counts(0, 0, 0)
            for step in self._steps():
                erased += step
                yield step
            if round_ and not any(erased):
                break
        for _ in return_free_space(self._engine):
            pass
        truncate_log(self._engine)

    def _steps(self) -> Iterator[Counts]:
        matches = self._subject.matches
        for number in erase_entries(self._client, self._partition, matches):
            yield Counts(0, number, 0)
        for number in erase_dead_letters(self._client, self._partition, matches):
            yield Counts(0, 0, number)
        for number in delete_events(self._engine, self._subject.filter(), is_overwritten=True):
            yield Counts(number, 0, 0)


def erase_all(erasure: Erasure, step: Callable[[int], None]) -> Counts:
    """Erase, and return what was; ``step`` is called with the events of each step.

    Raises StoredMeanwhile if a second look finds more, DatabaseError, redis.RedisError.
    """
    erased = Counts(0, 0, 0)
    for each in erasure.run():
        erased += each
        step(sum(each))
    if any(left := erasure.count()):
        raise StoredMeanwhile(left)
    return erased
