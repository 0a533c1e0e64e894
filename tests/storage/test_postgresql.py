"""PostgreSQL as it fails in production: statements that hang, connections cut, pools that are full."""

import threading
import time
from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import Engine, make_url, text

from tests.fixtures.servers.postgres import Postgres
from vigilry_ingest.storage import engine as engine_module
from vigilry_ingest.storage.engine import DatabaseError, NotMigrated, make_engine, session_on
from vigilry_ingest.storage.migrate import _LOCK, upgrade
from vigilry_ingest.storage.revision import check_migrated


@pytest.fixture
def url(postgres: Postgres) -> str:
    return postgres.new_database()


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    engine = make_engine(url, connections=2)
    yield engine
    engine.dispose()


def setting(engine: Engine, name: str) -> str:
    """Read a setting of the server as a connection of ours has it."""
    with session_on(engine) as session:
        return str(session.scalar(text("SELECT current_setting(:name)"), {"name": name}))


def test_a_connection_says_who_it_is_and_bounds_its_statements(engine: Engine) -> None:
    assert setting(engine, "application_name") == "vigilry-ingest"
    assert setting(engine, "statement_timeout") == "10s"
    assert setting(engine, "idle_in_transaction_session_timeout") == "30s"
    assert setting(engine, "tcp_keepalives_idle") in ("15", "0")  # 0: over a unix socket


def test_a_server_that_confirms_nothing_is_given_up_after_half_a_minute(engine: Engine) -> None:
    with engine.connect() as connection:
        driver_connection = connection.connection.driver_connection
        assert isinstance(driver_connection, psycopg.Connection)
        assert driver_connection.info.get_parameters()["tcp_user_timeout"] == "30000"


def test_what_the_operator_writes_into_the_url_wins(url: str) -> None:
    sign = "&" if "?" in url else "?"
    own = make_engine(f"{url}{sign}application_name=mine&options=-c%20statement_timeout%3D7s")
    assert (setting(own, "application_name"), setting(own, "statement_timeout")) == ("mine", "7s")
    own.dispose()


def test_a_statement_that_hangs_is_cut_and_the_connection_goes_on(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "_STATEMENT_MS", 200)
    engine = make_engine(url)
    with pytest.raises(DatabaseError, match="statement timeout"), session_on(engine) as session:
        session.execute(text("SELECT pg_sleep(30)"))
    assert setting(engine, "statement_timeout") == "200ms"
    engine.dispose()


def test_a_connection_that_the_server_has_ended_is_not_felt(engine: Engine, url: str) -> None:
    with session_on(engine) as session:
        backend = session.scalar(text("SELECT pg_backend_pid()"))
    other = make_engine(url)
    with session_on(other) as session:
        session.execute(text("SELECT pg_terminate_backend(:pid, 2000)"), {"pid": backend})
    other.dispose()
    with session_on(engine) as session:
        assert session.scalar(text("SELECT pg_backend_pid()")) != backend


def test_a_full_pool_is_said_to_be_full_in_bounded_time(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "_POOL_WAIT_S", 0.2)
    engine = make_engine(url, connections=1)
    began = time.monotonic()
    with session_on(engine) as session:
        session.scalar(text("SELECT 1"))
        with pytest.raises(DatabaseError, match="in use"):
            setting(engine, "application_name")
    assert time.monotonic() - began < 2
    engine.dispose()


def test_no_statement_is_prepared_so_that_pgbouncer_can_stand_between(engine: Engine) -> None:
    with session_on(engine) as session:
        for _ in range(20):
            session.scalar(text("SELECT 1"))
        assert session.scalar(text("SELECT count(*) FROM pg_prepared_statements")) == 0


def test_a_migration_may_take_longer_than_a_statement_and_others_wait_for_it(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "_STATEMENT_MS", 300)
    engines = [make_engine(url) for _ in range(3)]
    holder = make_engine(url)
    applied: list[list[str]] = []
    threads = [threading.Thread(target=lambda each=each: applied.append(upgrade(each))) for each in engines]
    with holder.begin() as connection:
        # What all of them wait for is ours for longer than any statement may take.
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        for thread in threads:
            thread.start()
        time.sleep(0.8)
    for thread in threads:
        thread.join()
    assert sorted(map(bool, applied)) == [False, False, True]
    for each in (*engines, holder):
        each.dispose()


@pytest.mark.parametrize("missing", ["database", "role"])
def test_a_database_or_a_role_that_is_missing_is_told_as_such_and_not_as_a_missing_migration(
    url: str, missing: str
) -> None:
    own = make_url(url)
    other = own.set(database="nobody_s") if missing == "database" else own.set(username="nobody")
    engine = make_engine(other.render_as_string(hide_password=False))
    with pytest.raises(DatabaseError, match=r"(database|role) .* does not exist") as failure:
        check_migrated(engine)
    assert not isinstance(failure.value, NotMigrated)
    engine.dispose()


@pytest.mark.parametrize("statement", ["SELECT 1 FROM nothing_here", "SELECT nothing_here"])
def test_a_table_or_a_column_that_is_missing_is_told_as_a_missing_migration(
    engine: Engine, statement: str
) -> None:
    with pytest.raises(NotMigrated), session_on(engine) as session:
        session.execute(text(statement))
