"""``flask db partition``: tables with rows are partitioned under load, and no event is lost or doubled."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, text

from tests.fixtures.commands import Commands
from tests.fixtures.databases import dispose, migrate
from tests.fixtures.flask_commands import Running
from tests.fixtures.partitions import make_plain, partitions_of, rows_in
from tests.fixtures.publishing import new_project
from tests.fixtures.servers.postgres import Postgres
from tests.fixtures.servers.waiting import wait_until
from tests.fixtures.stored_events import delivered, messages_of, store
from vigilry_ingest.domain.handler import TryLater
from vigilry_ingest.lifecycle.maintenance import Maintenance
from vigilry_ingest.storage.engine import DatabaseError, make_engine
from vigilry_ingest.storage.event_deletion import delete_events
from vigilry_ingest.storage.event_queries import Filter, newest_events
from vigilry_ingest.storage.partitions.bounds import add_bound, left_bounds
from vigilry_ingest.storage.partitions.conversion import Conversion
from vigilry_ingest.storage.partitions.layout import TABLES, layouts
from vigilry_ingest.storage.partitions.locks import alone
from vigilry_ingest.storage.partitions.periods import next_start, starts_ahead
from vigilry_ingest.storage.partitions.swapping import partition_empty_tables

NOW = datetime.now(UTC)


@pytest.fixture
def url(postgres: Postgres) -> str:
    """Return a migrated database of the test's own."""
    url = postgres.new_database()
    migrate(url)
    return url


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    """Return an engine on tables as earlier versions made them."""
    engine = make_engine(url)
    make_plain(engine)
    yield engine
    dispose(engine)


@pytest.fixture
def project() -> str:
    return new_project()


@pytest.fixture
def commands(url: str) -> Iterator[Commands]:
    with Commands(database_url=url) as commands:
        yield commands


def convert(engine: Engine) -> list[str]:
    """Convert the tables to their end."""
    return list(Conversion(engine, "month").run())


def assert_converted(engine: Engine) -> None:
    """Check that both tables are partitioned, and that nothing of the conversion is left."""
    cutover = next_start("month", next_start("month", NOW))
    for table in ("events", "event_correlations"):
        first, *ahead = partitions_of(engine, table)
        assert (first.name, first.end) == (f"{table}_first", cutover)
        assert len(ahead) == 1
    with engine.connect() as connection:
        query = "SELECT conname FROM pg_constraint WHERE contype = 'c' AND conname LIKE 'ck_event%'"
        assert connection.execute(text(query)).all() == []
        assert connection.execute(text("SELECT FROM pg_index WHERE NOT indisvalid")).all() == []


def test_rows_stay_where_they_are_and_are_found_through_the_new_table(engine: Engine, project: str) -> None:
    old = [delivered(project, days_old=days, message=str(days), correlation={"a": 1}) for days in (0, 500)]
    store(engine, *old)
    with engine.begin() as connection:
        connection.execute(text("UPDATE event_correlations SET received_at = DEFAULT"))
        node = connection.scalar(text("SELECT pg_relation_filenode('events')"))
    convert(engine)
    assert_converted(engine)
    # A worker that stopped before it acknowledged them stores them again.
    store(engine, *old, delivered(project, message="new", correlation={"a": 1}))
    assert messages_of(engine, project) == ["0", "500", "new"]
    assert rows_in(engine, "events") == 3
    # With the time of earlier versions, and with that of the event.
    assert rows_in(engine, "event_correlations") == 5
    wanted = Filter(project=project, correlation={"a": "1"})
    assert len(newest_events(engine, wanted, 10)) == 3
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT pg_relation_filenode('events_first')")) == node
    assert sum(delete_events(engine, wanted)) == 3
    assert rows_in(engine, "event_correlations") == 0


def test_every_index_of_the_table_becomes_one_of_the_partition_and_none_is_built_under_the_lock(
    engine: Engine, project: str
) -> None:
    store(engine, delivered(project, correlation={"a": 1}))
    with engine.begin() as connection:
        connection.execute(text("DROP INDEX ix_events_job"))
    convert(engine)
    query = text("""
        SELECT count(*) FROM pg_index parent JOIN pg_inherits i ON i.inhparent = parent.indexrelid
        JOIN pg_index own ON own.indexrelid = i.inhrelid
        WHERE parent.indrelid = to_regclass(:parent) AND own.indrelid = to_regclass(:own)
    """)
    count = text("SELECT count(*) FROM pg_index WHERE indrelid = to_regclass(:own)")
    with engine.connect() as connection:
        for table in TABLES:
            names = {"parent": table.name, "own": f"{table.name}_first"}
            matching = connection.scalar(query, names)
            assert matching == connection.scalar(count, names) == len(table.indexes) + 1


def test_the_command_says_what_it_did_and_repeated_that_nothing_is_left_to_do(
    engine: Engine, project: str, commands: Commands
) -> None:
    store(engine, delivered(project, correlation={"a": 1}))
    (done,) = commands.json("db", "partition", "--as", "ada")
    assert done["partitioned"] == ["events", "event_correlations"]
    assert_converted(engine)
    assert commands.json("db", "partition") == [{"partitioned": [], "steps": []}]
    assert commands.well("db", "partition") == "The tables are partitioned.\n"
    (entry,) = commands.json("audit", "list", "--action", "db.partition")
    assert (entry["actor"], entry["target_id"]) == ("ada", "events, event_correlations")


def test_what_depends_on_the_table_is_named_and_nothing_is_changed(
    engine: Engine, project: str, commands: Commands
) -> None:
    store(engine, delivered(project))
    with engine.begin() as connection:
        connection.execute(text("CREATE VIEW errors AS SELECT * FROM events"))
        connection.execute(text("CREATE TABLE notes (event varchar(40) CONSTRAINT fk_n REFERENCES events)"))
    said = commands.failure_of("db", "partition")
    assert "because of the foreign key fk_n, view errors: drop them first" in said
    assert layouts(engine)["events"].kind == "plain"
    with engine.begin() as connection:
        connection.execute(text("DROP VIEW errors"))
        connection.execute(text("DROP TABLE notes"))
    convert(engine)
    assert_converted(engine)


def test_a_long_transaction_delays_the_swap_but_nobody_else(engine: Engine, project: str) -> None:
    store(engine, delivered(project))
    took = []
    with engine.connect() as reader:
        reader.execute(text("SELECT FROM event_correlations"))
        reader.execute(text("SELECT FROM events"))
        # Without a snapshot, which the build of an index would wait for.
        reader.execute(text("SET LOCAL lock_timeout = 0"))
        steps = Conversion(engine, "month").run()
        thread = threading.Thread(target=lambda: list(steps))
        thread.start()
        for _ in range(20):
            began = time.monotonic()
            store(engine, delivered(project))
            took.append(time.monotonic() - began)
            time.sleep(0.1)
        assert thread.is_alive()
    thread.join(30)
    assert_converted(engine)
    assert sorted(took)[len(took) // 2] < 0.2
    assert rows_in(engine, "events") == 21


def test_of_two_conversions_one_gives_way(engine: Engine, commands: Commands) -> None:
    with alone(engine):
        assert "being changed by another process" in commands.failure_of("db", "partition")
    convert(engine)


def test_what_a_killed_conversion_has_left_is_dropped_by_workers_but_not_while_one_runs(
    engine: Engine, project: str
) -> None:
    store(engine, delivered(project))
    add_bound(engine, "events", None, NOW + timedelta(days=40))
    with pytest.raises(TryLater):
        store(engine, delivered(project, days_old=-60))
    with alone(engine):
        Maintenance(engine, "month").run(NOW)
        assert left_bounds(engine) == ["events"]
    Maintenance(engine, "month").run(NOW)
    assert left_bounds(engine) == []
    store(engine, delivered(project, days_old=-60))


@pytest.fixture
def unattended(engine: Engine, project: str) -> Engine:
    """Return an engine on tables for which nobody has made partitions in months, but that have events."""
    with engine.begin() as connection:
        partition_empty_tables(connection, "month", NOW - timedelta(days=200))
    store(engine, *(delivered(project, days_old=n, message=str(n), correlation={"a": n}) for n in (40, 3, 0)))
    assert rows_in(engine, "events_default") == 3
    return engine


def test_a_default_partition_of_months_without_partitions_becomes_that_of_those_months(
    unattended: Engine, project: str, commands: Commands
) -> None:
    Maintenance(unattended, "month").run(NOW - timedelta(days=100))
    last = partitions_of(unattended)[-1].end
    assert last
    assert f"made events_default the partition events_{last:%Y_%m_%d}" in commands.well("db", "partition")
    for table in ("events", "event_correlations"):
        *_, adopted, ahead = partitions_of(unattended, table)
        assert adopted.start == last
        assert ahead.end == starts_ahead("month", NOW)
        assert rows_in(unattended, adopted.name) == 3
    store(unattended, delivered(project, days_old=-4000, message="far"), delivered(project, message="new"))
    assert rows_in(unattended, "events_default") == 1
    assert messages_of(unattended, project) == ["0", "3", "40", "far", "new"]
    assert commands.well("db", "partition") == "The tables are partitioned.\n"


def test_a_default_partition_that_also_has_rows_of_another_time_stays(
    unattended: Engine, project: str, commands: Commands
) -> None:
    store(unattended, delivered(project, days_old=-4000, message="far"))
    said = commands.well("db", "partition")
    assert "left events_default alone" in said
    assert "made the partition events_" in said
    assert left_bounds(unattended) == []
    assert rows_in(unattended, "events_default") == 4
    store(unattended, delivered(project, days_old=-5000))


class Writer:
    """Stores events in a thread, each one until it is stored, as a worker does."""

    def __init__(self, engine: Engine, project: str) -> None:
        self.stored = 0
        self._engine = engine
        self._project = project
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._stopping.wait(0.002):
            batch = [
                delivered(
                    self._project,
                    days_old=self.stored % 4 * 30 - 20,
                    message=str(self.stored + n),
                    correlation={"n": self.stored + n},
                )
                for n in range(5)
            ]
            while True:
                with suppress(TryLater):
                    store(self._engine, *batch)
                    break
            if self.stored % 3 == 0:
                store(self._engine, *batch)
            self.stored += len(batch)

    def __enter__(self) -> "Writer":
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stopping.set()
        self._thread.join()


@contextmanager
def writing(engine: Engine, project: str) -> Iterator[Writer]:
    """Store events during the block, and check afterwards that each is there once."""
    with Writer(engine, project) as writer:
        yield writer
    with engine.connect() as connection:
        for query in (
            "SELECT count(*) FROM events WHERE type <> 'before'",
            "SELECT count(DISTINCT message) FROM events WHERE type <> 'before'",
            "SELECT count(*) FROM event_correlations WHERE name = 'n'",
        ):
            assert connection.scalar(text(query)) == writer.stored


def fill(engine: Engine, project: str, rows: int) -> None:
    """Store many events of the last hundred days quickly."""
    with engine.begin() as connection:
        connection.execute(
            text("""
                INSERT INTO events (id, job_number, project_id, environment, kind, type, severity, message,
                                    received_at, processed_at, request_id)
                SELECT 'before_' || n, n, :project, 'production', 'event', 'before', 'INFO', 'm' || n,
                       now() - n % 100 * interval '1 day', now(), 'r'
                FROM generate_series(1, :rows) AS n
            """),
            {"project": project, "rows": rows},
        )


@pytest.mark.slow
def test_a_conversion_that_is_killed_at_any_moment_is_continued_and_nothing_is_lost_or_doubled(
    engine: Engine, url: str, project: str
) -> None:
    rows = 100_000
    fill(engine, project, rows)
    with writing(engine, project) as writer:
        for number in range(12):
            # Its end is a kill.
            with Running("db", "partition", DATABASE_URL=url):
                time.sleep(0.15 + number * 0.05)
        stored = writer.stored
        wait_until(lambda: try_to_convert(engine), 20, "the server has noticed the last kill")
        wait_until(lambda: writer.stored > stored, 10, "events are stored afterwards")
    assert_converted(engine)
    assert rows_in(engine, "events") == rows + writer.stored


def try_to_convert(engine: Engine) -> bool:
    """Convert unless the server has not yet noticed that the last process was killed."""
    try:
        convert(engine)
    except DatabaseError:
        return False
    return True
