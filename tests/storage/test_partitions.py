"""Tables of events on PostgreSQL are partitioned by time, whatever the clocks say and who has made them."""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.event import listen, remove

from tests.fixtures.databases import dispose, migrate
from tests.fixtures.partitions import make_plain, partition_since, partitions_of, rows_in
from tests.fixtures.publishing import new_project
from tests.fixtures.servers.postgres import Postgres
from tests.fixtures.stored_events import delivered, messages_of, store
from tests.storage.test_event_store import QUESTIONS
from vigilry_ingest.lifecycle.maintenance import Maintenance
from vigilry_ingest.lifecycle.retention import Retention, by_partition, overdue_s, purge_events
from vigilry_ingest.storage.engine import DatabaseError, make_engine
from vigilry_ingest.storage.event_deletion import delete_events
from vigilry_ingest.storage.event_queries import Filter
from vigilry_ingest.storage.migrate import upgrade
from vigilry_ingest.storage.partitions.bounds import add_bound, drop_left_bounds
from vigilry_ingest.storage.partitions.dropping import drop_expired
from vigilry_ingest.storage.partitions.findings import partition_findings
from vigilry_ingest.storage.partitions.layout import TABLES, layouts
from vigilry_ingest.storage.partitions.making import make_ahead, rows_in_default
from vigilry_ingest.storage.partitions.periods import next_start, start_of, starts_ahead
from vigilry_ingest.storage.partitions.swapping import partition_empty_tables

NOW = datetime.now(UTC)


@pytest.fixture
def url(postgres: Postgres) -> str:
    """Return an empty database."""
    return postgres.new_database()


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    """Return an engine on a migrated database of the test's own."""
    migrate(url)
    engine = make_engine(url)
    yield engine
    dispose(engine)


@pytest.fixture
def project() -> str:
    return new_project()


def run(engine: Engine, *statements: str) -> None:
    """Run SQL in one transaction."""
    with engine.begin() as connection:
        for each in statements:
            connection.execute(text(each))


# Periods


@pytest.mark.parametrize(
    ("period", "moment", "start", "next_"),
    [
        ("month", "2026-11-29T16:53:21+00:00", "2026-11-01", "2026-12-01"),
        ("month", "2026-12-01T00:00:00+00:00", "2026-12-01", "2027-01-01"),
        ("month", "2028-01-31T23:59:59+00:00", "2028-01-01", "2028-02-01"),
        ("month", "2026-12-01T00:30:00+02:00", "2026-11-01", "2026-12-01"),
        ("week", "2026-11-29T23:59:59+00:00", "2026-11-23", "2026-11-30"),
        ("week", "2026-11-30T00:00:00+00:00", "2026-11-30", "2026-12-07"),
    ],
)
def test_a_period_is_a_calendar_month_or_a_week_from_monday_in_utc(
    period: str, moment: str, start: str, next_: str
) -> None:
    at = datetime.fromisoformat(moment)
    assert start_of(period, at) == datetime.fromisoformat(f"{start}T00:00:00Z")
    assert next_start(period, at) == datetime.fromisoformat(f"{next_}T00:00:00Z")


# Making


@pytest.mark.parametrize("period", ["month", "week"])
def test_a_new_database_is_partitioned_with_two_periods_ahead(url: str, period: str) -> None:
    engine = make_engine(url)
    for _ in range(2):
        upgrade(engine, period)
        for table in ("events", "event_correlations"):
            first, *rest = partitions_of(engine, table)
            assert (first.name, first.start, first.end) == (f"{table}_first", None, start_of(period, NOW))
            assert len(rest) == 3
            assert rest[-1].end == starts_ahead(period, NOW)
    dispose(engine)


def test_privileges_and_the_owner_of_an_empty_table_remain(engine: Engine) -> None:
    role = f"reader_{new_project()}"
    make_plain(engine)
    run(
        engine,
        f"CREATE ROLE {role}",
        f"CREATE ROLE {role}_owner",
        f"GRANT SELECT, INSERT ON events TO {role}",
        f"GRANT CREATE ON SCHEMA public TO {role}_owner",
        f"ALTER TABLE events OWNER TO {role}_owner",
    )
    with engine.begin() as connection:
        partition_empty_tables(connection, "month", NOW)
    assert partitions_of(engine)
    with engine.connect() as connection:
        for right, expected in (("SELECT", True), ("INSERT", True), ("DELETE", False)):
            query = text("SELECT has_table_privilege(:role, 'events', :right)")
            assert connection.scalar(query, {"role": role, "right": right}) is expected
        owner = connection.scalar(text("SELECT tableowner FROM pg_tables WHERE tablename = 'events'"))
        assert owner == f"{role}_owner"


def test_partitions_are_made_as_time_passes_also_with_another_period(engine: Engine) -> None:
    assert list(make_ahead(engine, "month", NOW)) == []
    later = next_start("month", NOW)
    made = [f"{table}_{starts_ahead('month', NOW):%Y_%m_%d}" for table in ("events", "event_correlations")]
    assert list(make_ahead(engine, "month", later)) == made
    much_later = starts_ahead("month", later) - timedelta(days=1)
    assert list(make_ahead(engine, "week", much_later))
    ranges = partitions_of(engine)
    assert ranges[-1].end == starts_ahead("week", much_later)
    assert ranges[-1].end - (ranges[-1].start or NOW) == timedelta(days=7)


def test_an_event_of_a_time_without_a_partition_is_stored_once_and_found(
    engine: Engine, project: str
) -> None:
    far = [delivered(project, days_old=days, message=str(days)) for days in (-4000, -200, 0, 20_000)]
    for _ in range(2):
        store(engine, *far)
    assert messages_of(engine, project) == sorted(["-4000", "-200", "0", "20000"])
    assert rows_in(engine, "events_default") == 2
    assert rows_in_default(engine) == ["events_default"]


def test_a_period_with_rows_in_the_default_partition_gets_none_and_those_after_it_do(
    engine: Engine, project: str
) -> None:
    event = delivered(project, days_old=-200)
    store(engine, event)
    then = datetime.fromisoformat(event.received_at)
    list(make_ahead(engine, "month", then))
    starts = [each.start for each in layouts(engine)["events"].ranges]
    assert start_of("month", then) not in starts
    assert next_start("month", then) in starts
    store(engine, delivered(project, days_old=-200))
    assert rows_in(engine, "events_default") == 2
    list(delete_events(engine, Filter(project=project)))
    assert rows_in_default(engine) == []


def test_making_does_not_wait_for_a_transaction_that_stores_events(engine: Engine, project: str) -> None:
    event = delivered(project, correlation={"a": 1})
    store(engine, event)
    with engine.begin() as connection:
        for table, key in (("events", "id"), ("event_correlations", "event_id")):
            run = f"INSERT INTO {table} SELECT * FROM {table}_{start_of('month', NOW):%Y_%m_%d}"  # noqa: S608  constants
            connection.execute(text(f"{run} WHERE {key} = :id ON CONFLICT DO NOTHING"), {"id": event.id})
        assert len(list(make_ahead(engine, "month", next_start("month", NOW)))) == 2


def test_the_previous_version_stores_events_until_the_table_is_partitioned(engine: Engine) -> None:
    make_plain(engine)
    upgrade(engine)
    assert layouts(engine)["event_correlations"].kind == "plain"
    run(
        engine,
        "CREATE TEMPORARY TABLE new_event_correlations (LIKE event_correlations) ON COMMIT DROP",
        "INSERT INTO new_event_correlations (event_id, name, project_id, value) VALUES ('e', 'n', 'p', 'v')",
        """
            INSERT INTO event_correlations (event_id, name, project_id, value)
            SELECT event_id, name, project_id, value FROM new_event_correlations
        """,
    )
    assert rows_in(engine, "event_correlations WHERE received_at = '1970-01-01Z'") == 1


# Dropping


@pytest.fixture
def year(engine: Engine) -> Engine:
    """Return an engine on tables that have been partitioned by month for a year."""
    partition_since(engine, NOW - timedelta(days=365))
    return engine


def purge(engine: Engine, days: dict[str, int], default_days: int = 0) -> int:
    """Purge as a worker does, and return the number of events."""
    cutoff = Retention(default_days, days).cutoff(NOW)
    return sum(purge_events(engine, by_partition(engine, cutoff, NOW)))


def test_a_partition_is_dropped_whole_when_every_project_in_it_is_past_its_time(
    year: Engine, project: str
) -> None:
    ages = range(5, 360, 10)
    store(year, *(delivered(project, days_old=age, message=str(age), correlation={"a": age}) for age in ages))
    before = partitions_of(year)
    cutoff = start_of("month", NOW - timedelta(days=100))
    expected = [age for age in ages if NOW - timedelta(days=age) >= cutoff]
    assert purge(year, {}, 100) == len(ages) - len(expected)
    assert messages_of(year, project) == sorted(map(str, expected))
    assert rows_in(year, "event_correlations") == len(expected)
    kept = [each for each in before if each.end and each.end > cutoff]
    assert partitions_of(year) == kept
    assert [each.start for each in partitions_of(year, "event_correlations")] == [each.start for each in kept]
    assert overdue_s(year, by_partition(year, Retention(100, {}).cutoff(NOW), NOW)) == 0
    # What is that old and comes only now is stored, and purged the next time.
    store(year, delivered(project, days_old=300, message="late", correlation={"a": 1}))
    assert "late" in messages_of(year, project)
    assert purge(year, {}, 100) == 1
    assert rows_in(year, "event_correlations") == len(expected)


def test_a_partition_stays_while_another_project_keeps_events_in_it(year: Engine, project: str) -> None:
    other = new_project()
    store(year, *(delivered(each, days_old=200, correlation={"a": 1}) for each in (project, other)))
    store(year, delivered(other, days_old=250, message="250"))
    number = len(partitions_of(year))
    assert purge(year, {project: 100, other: 0}) == 1
    assert len(partitions_of(year)) == number
    assert messages_of(year, other) == ["250", "a message"]
    assert rows_in(year, "event_correlations") == 1
    assert purge(year, {project: 100, other: 220}) == 1
    assert purge(year, {other: 62}, 62) == 1
    assert messages_of(year, other) == []
    assert len(partitions_of(year)) < number


def test_events_of_few_days_are_deleted_to_the_day_and_of_many_by_partition(
    year: Engine, project: str
) -> None:
    def until(days: int) -> datetime | None:
        return by_partition(year, Retention(days, {}).cutoff(NOW), NOW)(project)

    for days in (1, 7, 30, 55):
        assert until(days) == NOW - timedelta(days=days)
    for days in (62, 90, 300):
        assert until(days) == start_of("month", NOW - timedelta(days=days))
    # Nobody knows when the rest of the first partition would be past its time.
    assert until(3000) == NOW - timedelta(days=3000)
    assert until(0) is None
    store(year, *(delivered(project, days_old=days, message=str(days)) for days in (6, 8)))
    assert purge(year, {project: 7}) == 1
    assert messages_of(year, project) == ["6"]


def test_an_explicit_time_is_exact_and_drops_what_it_covers(year: Engine, project: str) -> None:
    store(year, *(delivered(project, days_old=days, message=str(days)) for days in (99, 101, 250)))
    number = len(partitions_of(year))
    assert sum(purge_events(year, lambda _project: NOW - timedelta(days=100))) == 2
    assert messages_of(year, project) == ["99"]
    assert len(partitions_of(year)) < number


def test_a_partition_in_use_is_not_waited_for_and_is_dropped_later(year: Engine, project: str) -> None:
    store(year, delivered(project, days_old=300), delivered(project, message="new"))
    with year.begin() as connection:
        connection.execute(text("SELECT FROM events"))
        began = time.monotonic()
        with pytest.raises(DatabaseError, match="is in use"):
            purge(year, {}, 100)
        assert time.monotonic() - began < 20
        # Nobody else has to wait meanwhile.
        assert len(messages_of(year, project)) == 2
    assert purge(year, {}, 100) == 1
    assert messages_of(year, project) == ["new"]


def test_a_late_event_of_another_project_keeps_the_partition(year: Engine, project: str) -> None:
    other = new_project()
    store(year, delivered(project, days_old=200))
    storing = threading.Event()

    def is_expired(each: str, _end: datetime) -> bool:
        # Between the look without a lock and the one with it.
        if not storing.is_set():
            storing.set()
            store(year, delivered(other, days_old=200, message="late"))
        return each != other

    assert sum(drop_expired(year, is_expired)) == 0
    assert messages_of(year, other) == ["late"]


def test_a_persons_events_are_deleted_from_every_partition(year: Engine, project: str) -> None:
    for days in (-4000, 0, 40, 200, 4000):
        for person in ("usr_9", "usr_8"):
            correlation = {"user_id": person, "days": days}
            store(year, delivered(project, days_old=days, message=person, correlation=correlation))
    # As rows from before there was such a column, which are all in the first partition.
    run(year, "UPDATE event_correlations SET received_at = '1970-01-01Z' WHERE value = '200'")
    assert sum(delete_events(year, Filter(project=project, correlation={"user_id": "usr_9"}))) == 5
    assert messages_of(year, project) == ["usr_8"] * 5
    assert rows_in(year, "event_correlations") == 10


# What the doctor says


def said_of(engine: Engine) -> str:
    """Return what the doctor says about partitions."""
    return "\n".join(f"{each.level}: {each.text}" for each in partition_findings(engine))


def test_the_doctor_names_what_an_operator_should_know(engine: Engine, project: str) -> None:
    assert said_of(engine) == ""
    store(engine, delivered(project, days_old=-4000))
    assert said_of(engine).startswith("warning: events_default has rows")
    partition_by_hand(engine)
    assert said_of(engine).startswith("ok: events is partitioned by someone else")
    make_plain(engine)
    assert said_of(engine) == ""
    add_bound(engine, "events", None, NOW + timedelta(days=40))
    assert said_of(engine).startswith("warning: events is being partitioned, or that was interrupted")
    drop_left_bounds(engine)
    with engine.begin() as connection:
        partition_empty_tables(connection, "month", NOW - timedelta(days=200))
    assert said_of(engine).count("has no partition for events of today") == 2


# Questions


@pytest.fixture(scope="module")
def filled(postgres: Postgres) -> Iterator[Engine]:
    """Return an engine on a year of events, so many that the planner would not rather read all of them."""
    url = postgres.new_database()
    migrate(url)
    engine = make_engine(url)
    partition_since(engine, NOW - timedelta(days=365))
    run(
        engine,
        """
            INSERT INTO events (id, job_number, project_id, environment, kind, type, severity, message,
                                received_at, processed_at, request_id, event_group)
            SELECT 'evt_' || n, n, 'p' || n % 20, 'production', 'server_error', 't' || n % 9, 'ERROR',
                   'm', now() - n % 360 * interval '1 day', now(), 'r', 'g' || n % 50
            FROM generate_series(1, 200000) AS n
        """,
        """
            INSERT INTO event_correlations (event_id, name, project_id, value, received_at)
            SELECT id, 'order_id', project_id, job_number, received_at FROM events
        """,
        *(f"ANALYZE {table.name}" for table in TABLES),
    )
    yield engine
    dispose(engine)


@pytest.mark.parametrize("question", QUESTIONS)
def test_no_question_is_answered_by_reading_a_whole_partition(filled: Engine, question: str) -> None:
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, query: str, values: Any, *_more: Any) -> None:
        asked.append((query, values))

    listen(filled, "before_cursor_execute", note)
    QUESTIONS[question](filled)
    remove(filled, "before_cursor_execute", note)
    for query, values in [each for each in asked if "FROM events" in each[0]][:3]:
        with filled.connect() as connection:
            plan = [row[0] for row in connection.exec_driver_sql(f"EXPLAIN {query}", values)]
        # A partition that is empty, or was begun today, may be read as a whole; the others cost hundreds.
        costs = re.findall(r"Seq Scan .*cost=[\d.]+\.\.([\d.]+)", "\n".join(plan))
        assert max(map(float, costs), default=0) < 50, "\n".join(plan)
    assert asked


# Tables of an operator


def partition_by_hand(engine: Engine) -> None:
    """Partition the events as docs/scaling.md describes it."""
    make_plain(engine)
    run(
        engine,
        "ALTER TABLE events RENAME TO old",
        "CREATE TABLE events (LIKE old INCLUDING DEFAULTS) PARTITION BY RANGE (received_at)",
        "ALTER TABLE events ADD PRIMARY KEY (id, received_at)",
        "CREATE TABLE events_2020_01_01 PARTITION OF events FOR VALUES FROM ('2020-01-01') TO ('2020-02-01')",
        "CREATE TABLE events_default PARTITION OF events DEFAULT",
        "DROP TABLE old",
    )


def test_a_table_that_an_operator_has_partitioned_is_left_alone(
    engine: Engine, project: str, caplog: pytest.LogCaptureFixture
) -> None:
    partition_by_hand(engine)
    upgrade(engine)
    maintenance = Maintenance(engine, "month")
    for _ in range(3):
        maintenance.run(next_start("month", NOW))
    assert layouts(engine)["events"].kind == "foreign"
    assert caplog.text.count("the table events is partitioned by someone else") == 1
    for _ in range(2):
        store(engine, delivered(project, days_old=2500, correlation={"a": 1}), delivered(project))
    assert purge(engine, {}, 100) == 2
    assert rows_in(engine, "event_correlations") == 0
    assert layouts(engine)["event_correlations"].kind == "plain"
    with engine.connect() as connection:
        query = text("SELECT count(*) FROM pg_inherits WHERE inhparent = 'events'::regclass")
        assert connection.scalar(query) == 2


def test_a_role_that_is_not_the_owner_makes_and_drops_nothing_but_deletes_rows(
    year: Engine, url: str, project: str, caplog: pytest.LogCaptureFixture
) -> None:
    role = f"writer_{new_project()}"
    run(
        year,
        f"CREATE ROLE {role} LOGIN",
        f"GRANT SELECT, INSERT, DELETE ON ALL TABLES IN SCHEMA public TO {role}",
    )
    number = len(partitions_of(year))
    store(year, delivered(project, days_old=200))
    with closing(Disposed(make_engine(url.replace("postgres@", f"{role}@")))) as own:
        Maintenance(own.engine, "month").run(next_start("month", NOW))
        assert "does not own the table events" in caplog.text
        assert purge(own.engine, {}, 100) == 1
    assert len(partitions_of(year)) == number


def test_members_of_the_owner_make_and_drop_partitions_of_each_other(
    year: Engine, url: str, project: str
) -> None:
    owner = f"owner_{new_project()}"
    run(
        year,
        f"CREATE ROLE {owner}",
        f"GRANT CREATE ON SCHEMA public TO {owner}",
        *(f"CREATE ROLE {owner}_{n} LOGIN IN ROLE {owner}" for n in (1, 2)),
        *(
            f"ALTER TABLE {name} OWNER TO {owner}"
            for table, layout in layouts(year).items()
            for name in (table, *(each.name for each in layout.partitions))
        ),
    )
    later = NOW + timedelta(days=400)
    with closing(Disposed(make_engine(url.replace("postgres@", f"{owner}_1@")))) as one:
        assert list(make_ahead(one.engine, "month", NOW + timedelta(days=70)))
    store(year, delivered(project, days_old=-20))
    with closing(Disposed(make_engine(url.replace("postgres@", f"{owner}_2@")))) as other:
        run(other.engine, f"DROP TABLE {partitions_of(year)[-1].name}")
        assert sum(purge_events(other.engine, lambda _project: later)) == 1


class Disposed:
    """An engine that can be closed."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def close(self) -> None:
        """Close the connections."""
        dispose(self.engine)
