"""Events are purged when they are past their time, and no others, by one worker at a time."""

import os
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, func, select

from tests.fixtures.databases import dispose, migrate
from tests.fixtures.publishing import new_project
from tests.fixtures.servers.valkey import Valkey
from tests.fixtures.servers.waiting import wait_until
from tests.fixtures.servers.worker import Worker
from tests.fixtures.stored_events import delivered, messages_of, store
from vigilry_ingest.api_keys.projects import retain
from vigilry_ingest.api_keys.registry import mint
from vigilry_ingest.lifecycle.purging import Purging
from vigilry_ingest.lifecycle.retention import Retention, overdue_s, purge_events
from vigilry_ingest.storage.engine import make_engine, session_on
from vigilry_ingest.storage.leases import drop_lease, take_lease
from vigilry_ingest.storage.models import EventCorrelation
from vigilry_ingest.storage.sqlite_space import compact, is_shrinkable, return_free_space
from vigilry_ingest.stream.connection.client import open_client
from vigilry_ingest.stream.consuming.dead_letters import FailureClass, dead_letter, dead_letters
from vigilry_ingest.stream.consuming.pending import make_group
from vigilry_ingest.stream.redis_keys import dead_index_key, events_key


@pytest.fixture
def project(engine: Engine) -> str:
    """Make a project of the test's own and return its id."""
    return mint(engine, f"shop {new_project()}", "production").project_id


def purge(engine: Engine, project: str, days: int) -> int:
    """Purge the events of one project, and return their number."""
    return sum(purge_events(engine, Retention(0, {project: days}).cutoff(datetime.now(UTC))))


def correlations_of(engine: Engine, project: str) -> int:
    """Return the number of rows by which events of a project are found."""
    with session_on(engine) as session:
        query = select(func.count()).select_from(EventCorrelation)
        return session.scalar(query.where(EventCorrelation.project_id == project)) or 0


def test_events_past_their_time_are_purged_with_their_correlations(engine: Engine, project: str) -> None:
    for days_old in (0, 29.9, 30.1, 400):
        event = delivered(project, days_old=days_old, message=str(days_old), correlation={"a": 1, "b": "x"})
        store(engine, event)
    assert purge(engine, project, 30) == 2
    assert messages_of(engine, project) == ["0", "29.9"]
    assert correlations_of(engine, project) == 4
    assert purge(engine, project, 30) == 0


def test_each_project_has_its_own_time_and_others_that_of_the_setting(engine: Engine) -> None:
    short, forever, other = (mint(engine, f"shop {new_project()}", "production").project_id for _ in range(3))
    retain(engine, short, 1)
    retain(engine, forever, 0)
    for project in (short, forever, other):
        store(engine, *(delivered(project, days_old=days, message=str(days)) for days in (0, 5, 50)))
    retention = Retention.read(engine, 10)
    own = {short: retention.by_project[short], forever: retention.by_project[forever], other: 10}
    sum(purge_events(engine, Retention(0, own).cutoff(datetime.now(UTC))))
    assert messages_of(engine, short) == ["0"]
    assert messages_of(engine, forever) == ["0", "5", "50"]
    assert messages_of(engine, other) == ["0", "5"]
    retain(engine, short, None)
    assert short not in Retention.read(engine, 10).by_project


def test_events_of_a_project_that_no_longer_exists_are_purged_by_the_setting(engine: Engine) -> None:
    unknown = new_project()
    store(engine, delivered(unknown, days_old=11, message="old"), delivered(unknown, message="new"))
    cutoff = Retention(10, {}).cutoff(datetime.now(UTC))
    sum(purge_events(engine, lambda project: cutoff(project) if project == unknown else None))
    assert messages_of(engine, unknown) == ["new"]


def test_nothing_is_limited_unless_a_number_says_so() -> None:
    assert not Retention(0, {}).is_limited
    assert not Retention(0, {"proj_1": 0}).is_limited
    assert Retention(1, {}).is_limited
    assert Retention(0, {"proj_1": 1}).is_limited


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ages=st.lists(st.floats(0, 100), max_size=120), days=st.integers(1, 100))
def test_exactly_the_events_from_before_the_cutoff_are_purged(
    engine: Engine, ages: list[float], days: int
) -> None:
    project, now = new_project(), datetime.now(UTC)
    cutoff = now - timedelta(days=days)
    events = [delivered(project, days_old=age) for age in ages]
    if events:
        store(engine, *events)
    expected = sum(datetime.fromisoformat(event.received_at) < cutoff for event in events)
    assert sum(purge_events(engine, Retention(0, {project: days}).cutoff(now))) == expected
    assert len(messages_of(engine, project)) == len(events) - expected


def test_how_long_the_oldest_event_is_overdue_is_known(engine: Engine, project: str) -> None:
    cutoff = Retention(0, {project: 10}).cutoff(datetime.now(UTC))
    assert overdue_s(engine, cutoff) == 0
    store(engine, delivered(project, days_old=12), delivered(project, days_old=11))
    assert overdue_s(engine, cutoff) == pytest.approx(2 * 86_400, abs=5)


def test_a_batch_holds_the_lock_for_less_than_a_tenth_of_a_second(engine: Engine, project: str) -> None:
    payload = b'{"a":"' + b"x" * 20_000 + b'"}'
    for _ in range(8):
        store(engine, *(delivered(project, days_old=9, payload=payload) for _ in range(100)))
    steps = []
    began = time.monotonic()
    for number in purge_events(engine, Retention(0, {project: 1}).cutoff(datetime.now(UTC))):
        steps.append((number, time.monotonic() - began))
        began = time.monotonic()
    assert sum(number for number, _ in steps) == 800
    # The least of them, because a machine that is busy can stop any for a while.
    assert min(seconds for _, seconds in steps) < 0.1
    assert len(steps) > 3


# Leases


def test_one_holder_at_a_time_has_a_lease_until_it_gives_it_up_or_it_expires(engine: Engine) -> None:
    name = os.urandom(8).hex()
    assert take_lease(engine, name, "a", 60)
    assert not take_lease(engine, name, "b", 60)
    assert take_lease(engine, name, "a", 60)
    drop_lease(engine, name, "b")
    assert not take_lease(engine, name, "b", 60)
    drop_lease(engine, name, "a")
    assert take_lease(engine, name, "b", 0.01)
    time.sleep(0.05)
    assert take_lease(engine, name, "a", 60)


# Workers


@pytest.fixture
def own_engine(tmp_path: Path) -> Iterator[Engine]:
    """Return an engine on a database of the test's own."""
    url = f"sqlite:///{tmp_path}/own.db"
    migrate(url)
    engine = make_engine(url)
    yield engine
    dispose(engine)


def purging(engine: Engine, broker: Valkey, days: int = 10) -> Purging:
    """Make the purging of a worker, without the wait of a minute."""
    return Purging(engine, broker.url, partitions=1, default_days=days, interval_s=0.05)


def gauges(purging: Purging) -> dict[str, float]:
    """Return the values of the gauges by name."""
    return {each.name: each.samples[0].value for each in purging.collect()}


@pytest.mark.one_database
def test_of_two_workers_one_purges_and_the_other_follows_when_it_ends(
    own_engine: Engine, broker: Valkey
) -> None:
    first, second = purging(own_engine, broker), purging(own_engine, broker)
    with second:
        with first:
            wait_until(lambda: bool(gauges(first) or gauges(second)), 10, "one of them purges")
            store(own_engine, delivered("proj_1", days_old=11, message="old"), delivered("proj_1"))
            wait_until(lambda: messages_of(own_engine, "proj_1") == ["a message"], 10, "the event is purged")
            time.sleep(0.3)
            assert not (gauges(first) and gauges(second))
        store(own_engine, delivered("proj_1", days_old=11, message="older"))
        wait_until(lambda: messages_of(own_engine, "proj_1") == ["a message"], 10, "the other one purges")
        overdue = "vigilry_retention_overdue_seconds"
        wait_until(lambda: gauges(second).get(overdue) == 0, 10, "no event is overdue")
        assert 0 < gauges(second)["vigilry_oldest_event_age_seconds"] < 3600


@pytest.mark.one_database
def test_purging_goes_on_after_the_broker_and_the_database_have_failed(
    tmp_path: Path, broker: Valkey, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"sqlite:///{tmp_path}/later.db"
    engine = make_engine(url)
    broker.stop()
    with purging(engine, broker):
        wait_until(lambda: "not migrated" in caplog.text, 10, "the database is missed")
        migrate(url)
        wait_until(lambda: "cannot purge dead letters" in caplog.text, 10, "the broker is missed")
        broker.start()
        store(engine, delivered("proj_1", days_old=11))
        wait_until(lambda: not messages_of(engine, "proj_1"), 10, "the event is purged")
    dispose(engine)


def add_dead_letter(client: Any, project: str, received_at: str) -> None:
    """Make a dead letter of a new entry."""
    make_group(client, 0, "store")
    fields = {b"v": b"1", b"project_id": project.encode(), b"received_at": received_at.encode()}
    entry_id = client.xadd(events_key(0), fields)
    client.xreadgroup("store", "w", {events_key(0): ">"})
    dead_letter(
        client, 0, "store", entry_id, fields,
        failure_class=FailureClass.HANDLER_FAILED, reason="no", deliveries=1,
    )  # fmt: skip


@pytest.mark.one_database
def test_dead_letters_past_their_time_are_purged_with_what_the_index_has_of_them(
    own_engine: Engine, broker: Valkey
) -> None:
    with open_client(broker.url, timeout_s=5) as client:
        for received_at in ("2020-01-01T00:00:00.000Z", "not a time", "2999-01-01T00:00:00.000Z"):
            add_dead_letter(client, "proj_1", received_at)
        with purging(own_engine, broker):
            wait_until(lambda: len(list(dead_letters(client, 1))) == 2, 10, "one dead letter is purged")
        kept = [letter.entry[b"received_at"] for letter in dead_letters(client, 1)]
        assert kept == [b"not a time", b"2999-01-01T00:00:00.000Z"]
        assert client.hlen(dead_index_key(0)) == 2


@pytest.mark.one_database
def test_a_worker_purges_by_itself(own_engine: Engine, broker: Valkey) -> None:
    store(own_engine, delivered("proj_1", days_old=11, message="old"), delivered("proj_1"))
    settings: dict[str, str | int] = {
        "VIGILRY_DATABASE_URL": str(own_engine.url),
        "VIGILRY_REDIS_URL": broker.url,
        "VIGILRY_RETENTION_DAYS": 10,
        "VIGILRY_LOG_FORMAT": "json",
    }
    with closing(Worker(settings)) as worker:
        worker.start()
        wait_until(lambda: messages_of(own_engine, "proj_1") == ["a message"], 30, "the event is purged")
        wait_until(lambda: '"events":1' in worker.log_text(), 5, "it is logged", log=worker.log_text)
        assert worker.terminate() == 0


# The file of SQLite


def size_of(engine: Engine) -> int:
    """Return the size of the file."""
    return Path(str(engine.url.database)).stat().st_size


@pytest.mark.one_database
def test_the_file_shrinks_when_events_are_purged(own_engine: Engine) -> None:
    payload = b'{"a":"' + b"x" * 2000 + b'"}'
    store(own_engine, *(delivered("proj_1", days_old=9, payload=payload) for _ in range(2000)))
    list(return_free_space(own_engine))
    before = size_of(own_engine)
    assert purge(own_engine, "proj_1", 1) == 2000
    assert sum(return_free_space(own_engine)) > 500
    assert size_of(own_engine) < before / 10


@pytest.mark.one_database
def test_a_file_of_an_earlier_version_shrinks_once_it_is_compacted(
    own_engine: Engine,
) -> None:
    with own_engine.connect() as connection:
        driver: Any = connection.execution_options(isolation_level="AUTOCOMMIT").connection.driver_connection
        driver.executescript("PRAGMA auto_vacuum = NONE; VACUUM")
    assert not is_shrinkable(own_engine)
    store(
        own_engine,
        *(delivered("proj_1", days_old=9, payload=b'{"a":"' + b"x" * 9000 + b'"}') for _ in range(99)),
    )
    purge(own_engine, "proj_1", 1)
    assert list(return_free_space(own_engine)) == []
    assert compact(own_engine) > 500_000
    assert is_shrinkable(own_engine)
