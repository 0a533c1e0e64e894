"""Behind PgBouncer in transaction mode all works, or says what it needs."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, text

from tests.fixtures.commands import Commands
from tests.fixtures.databases import dispose
from tests.fixtures.flask_commands import failure_of, flask_well
from tests.fixtures.partitions import make_plain, partition_since, partitions_of, rows_in
from tests.fixtures.publishing import new_project
from tests.fixtures.servers.gunicorn import Service
from tests.fixtures.servers.pgbouncer import PgBouncer
from tests.fixtures.servers.postgres import Postgres
from tests.fixtures.servers.valkey import Valkey
from tests.fixtures.servers.waiting import wait_until
from tests.fixtures.servers.worker import Worker
from tests.fixtures.stored_events import delivered, messages_of, store
from vigilry_ingest.api_keys.registry import mint
from vigilry_ingest.lifecycle.retention import Retention, by_partition, purge_events
from vigilry_ingest.storage.engine import make_engine, session_on
from vigilry_ingest.storage.partitions.long_statements import is_behind_pooler

pytestmark = pytest.mark.slow
NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def pgbouncer(postgres: Postgres) -> Iterator[PgBouncer]:
    with PgBouncer(postgres) as server:
        yield server


@pytest.fixture
def direct_url(postgres: Postgres) -> str:
    """Return the URL of an empty database on the server itself."""
    return postgres.new_database()


@pytest.fixture
def url(pgbouncer: PgBouncer, direct_url: str) -> str:
    """Return the URL of a database that was migrated through PgBouncer."""
    url = pgbouncer.url(direct_url)
    assert "0012" in flask_well("db", "upgrade", DATABASE_URL=url)
    return url


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    """Return an engine whose transactions use three connections of PgBouncer in turn."""
    engine = make_engine(url)
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(engine.begin()).execute(text("SELECT 1"))
    yield engine
    dispose(engine)


def test_transactions_of_one_client_have_several_connections(engine: Engine, direct_url: str) -> None:
    processes = set()
    for _ in range(20):
        with session_on(engine) as session:
            assert is_behind_pooler(session.connection())
            processes.add(session.scalar(text("SELECT pg_backend_pid()")))
    assert len(processes) > 1
    own = make_engine(direct_url)
    with session_on(own) as session:
        assert not is_behind_pooler(session.connection())
    dispose(own)


def test_upgrades_are_repeatable_and_partition_new_tables(engine: Engine, url: str) -> None:
    assert "up to date" in flask_well("db", "upgrade", DATABASE_URL=url)
    assert len(partitions_of(engine)) == 4


def test_events_are_stored_once_on_any_connection(engine: Engine) -> None:
    project = new_project()
    batches = [[delivered(project, correlation={"a": n}) for n in range(5)] for _ in range(20)]
    for batch in (*batches, *batches):
        store(engine, *batch)
    assert rows_in(engine, "events") == rows_in(engine, "event_correlations") == 100


def test_tables_with_rows_are_partitioned(engine: Engine, url: str) -> None:
    make_plain(engine)
    project = new_project()
    store(engine, *(delivered(project, days_old=days, correlation={"a": 1}) for days in range(50)))
    assert "partitioned events" in flask_well("db", "partition", DATABASE_URL=url)
    assert partitions_of(engine)[0].name == "events_first"
    assert rows_in(engine, "events") == 50
    # No time-out was left behind for others.
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT current_setting('statement_timeout')")) == "0"


def test_a_time_out_of_the_role_that_is_too_short_to_partition_is_named(
    engine: Engine, url: str, direct_url: str, pgbouncer: PgBouncer
) -> None:
    make_plain(engine)
    store(engine, delivered(new_project()))
    name = engine.url.database
    with engine.begin() as connection:
        connection.execute(text(f'ALTER DATABASE "{name}" SET statement_timeout = 10000'))
    engine.dispose()
    pgbouncer.restart()
    said = failure_of("db", "partition", DATABASE_URL=url)
    assert "statement_timeout is 10s, which is too short" in said
    assert "partitioned events" in flask_well("db", "partition", DATABASE_URL=direct_url)
    assert rows_in(engine, "events") == 1


def test_old_partitions_are_dropped_and_others_purged(engine: Engine) -> None:
    partition_since(engine, NOW - timedelta(days=365))
    project, number = new_project(), len(partitions_of(engine))
    store(engine, *(delivered(project, days_old=days, message=str(days)) for days in (1, 20, 200)))
    cutoff = by_partition(engine, Retention(10, {}).cutoff(NOW), NOW)
    assert sum(purge_events(engine, cutoff)) == 2
    assert messages_of(engine, project) == ["1"]
    assert len(partitions_of(engine)) < number


def test_the_service_and_a_worker_take_in_store_and_purge(engine: Engine, url: str, broker: Valkey) -> None:
    key = mint(engine, "shop", "production")
    store(engine, delivered(key.project_id, days_old=400, message="old"))
    settings: dict[str, str | int] = {
        "VIGILRY_DATABASE_URL": url,
        "VIGILRY_REDIS_URL": broker.url,
        "VIGILRY_RETENTION_DAYS": 90,
        "VIGILRY_KEY_CACHE_TTL_S": 0,
    }
    with (
        Service(settings, workers=1, worker_class="gevent") as service,
        closing(Worker(settings)) as worker,
        ExitStack() as clients,
    ):
        worker.start()
        client = clients.enter_context(service.client(headers={"X-Api-Key": key.api_key}))
        for number in range(30):
            event = {"type": "t", "severity": "INFO", "message": f"{number}", "correlation": {"a": number}}
            assert client.post("/ingest/events", json=event).status_code == 202
            time.sleep(0.02)
        expected = sorted(map(str, range(30)))
        wait_until(lambda: messages_of(engine, key.project_id) == expected, 30, "all is stored and purged")
        wait_until(lambda: "purged" in worker.log_text(), 5, "it is logged", log=worker.log_text)
        assert worker.terminate() == 0


def test_a_pgbouncer_that_refuses_the_options_is_said_to_need_a_setting(
    postgres: Postgres, direct_url: str
) -> None:
    with PgBouncer(postgres, settings={"ignore_startup_parameters": None}) as pgbouncer:
        url = pgbouncer.url(direct_url)
        said = failure_of("db", "upgrade", DATABASE_URL=url)
        assert "ignore_startup_parameters = options" in said
        with Commands(database_url=url) as commands:
            assert "ignore_startup_parameters = options" in commands.failure_of("projects", "list")
