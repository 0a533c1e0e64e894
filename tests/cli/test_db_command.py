"""``flask db``: a database is brought to this version, however often and from wherever."""

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # psutil ships no types
import psycopg
import pytest
from sqlalchemy import make_url, text

from tests.fixtures.databases import migrate
from tests.fixtures.flask_commands import Running, assert_readable_help, failure_of, flask_well
from tests.fixtures.servers.postgres import Postgres
from tests.fixtures.servers.waiting import wait_until
from vigilry_ingest.api_keys.registry import list_keys, mint
from vigilry_ingest.cli.db import db_group
from vigilry_ingest.storage.engine import NotMigrated, make_engine
from vigilry_ingest.storage.revision import check_migrated

UNREACHABLE = "postgresql+psycopg://user:hunter2@127.0.0.1:1/none"


@pytest.fixture(params=["sqlite", "postgresql"])
def new_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return a database of each kind without tables; the folder of the file does not exist yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/var/deep/vigilry.db"
    server: Postgres = request.getfixturevalue("postgres")
    return server.new_database()


def is_migrated(url: str) -> bool:
    """Return whether a database has this version's tables."""
    engine = make_engine(url)
    try:
        check_migrated(engine)
    except NotMigrated:
        return False
    finally:
        engine.dispose()
    return True


def test_an_upgrade_makes_the_tables_and_another_one_changes_nothing(new_database_url: str) -> None:
    first = flask_well("db", "upgrade", DATABASE_URL=new_database_url)
    assert "0001" in first
    assert is_migrated(new_database_url)
    engine = make_engine(new_database_url)
    kept = mint(engine, "kept", "production")
    assert json.loads(flask_well("db", "upgrade", "--json", DATABASE_URL=new_database_url)) == {"applied": []}
    second = flask_well("db", "upgrade", DATABASE_URL=new_database_url)
    assert "0001" not in second
    assert "up to date" in second
    assert [key.id for key in list_keys(engine)] == [kept.key_id]
    engine.dispose()


@contextmanager
def sqlite_held(path: Path) -> Iterator[Callable[[list[Running]], None]]:
    """Keep writers of an SQLite file waiting, and give a function that waits until processes have come."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("BEGIN IMMEDIATE")

        def wait_for(processes: list[Running]) -> None:
            for process in processes:
                wait_until(
                    lambda process=process: path.name in str(psutil.Process(process.pid).open_files()),  # type: ignore[misc]  # mypy cannot infer a lambda's default
                    10,
                    "the upgrade has opened the file",
                )
            # It is at the lock in a moment, and waits for it for five seconds.
            time.sleep(0.7)

        yield wait_for
        connection.execute("ROLLBACK")


@contextmanager
def postgresql_held(url: str) -> Iterator[Callable[[list[Running]], None]]:
    """Keep those who create Alembic's table waiting; the returned function waits for a number of them."""
    address = make_url(url)
    words = {"host": address.query["host"], "user": address.username, "dbname": address.database}
    with psycopg.connect(**words) as connection, psycopg.connect(**words, autocommit=True) as watcher:  # type: ignore[arg-type]  # a query's value may be several
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32))")

        def waiting() -> int:
            row = watcher.execute(
                "SELECT count(*) FROM pg_stat_activity "
                "WHERE datname = current_database() AND wait_event_type = 'Lock'"
            ).fetchone()
            assert row
            return int(row[0])

        yield lambda processes: wait_until(
            lambda: waiting() == len(processes), 10, "the upgrades wait for the lock"
        )
        connection.rollback()


def test_an_upgrade_tells_programs_what_it_has_applied(tmp_path: Path) -> None:
    applied = json.loads(flask_well("db", "upgrade", "--json", DATABASE_URL=f"sqlite:///{tmp_path}/x.db"))
    assert [each[:4] for each in applied["applied"]] == [
        "0001",
        "0002",
        "0003",
        "0004",
        "0005",
        "0006",
        "0007",
        "0008",
        "0010",
        "0011",
        "0012",
        "0013",
    ]


def test_two_upgrades_at_once_both_end_well(new_database_url: str) -> None:
    if new_database_url.startswith("sqlite"):
        path = Path(str(make_url(new_database_url).database))
        path.parent.mkdir(parents=True)
        holding = sqlite_held(path)
    else:
        holding = postgresql_held(new_database_url)
    with (
        Running("db", "upgrade", DATABASE_URL=new_database_url) as one,
        Running("db", "upgrade", DATABASE_URL=new_database_url) as other,
    ):
        with holding as wait_for:
            wait_for([one, other])
        ends = [each.wait() for each in (one, other)]
    assert is_migrated(new_database_url)
    assert [(code, errors) for code, _, errors in ends] == [(0, ""), (0, "")]


def test_an_unreachable_server_is_told_in_one_line_without_its_password() -> None:
    said = failure_of("db", "upgrade", DATABASE_URL=UNREACHABLE)
    assert "127.0.0.1" in said
    assert "hunter2" not in said


@pytest.mark.parametrize(
    "url",
    [
        "user:hunter2@host",
        "postgresql+psycopg://user:hunter2@host:port/vigilry",
    ],
)
def test_an_unreadable_url_is_told_in_one_line_without_its_password(url: str) -> None:
    said = failure_of("db", "upgrade", DATABASE_URL=url)
    assert "VIGILRY_DATABASE_URL" in said
    assert "hunter2" not in said


def test_a_folder_that_cannot_be_made_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    failure_of("db", "upgrade", DATABASE_URL=f"sqlite:///{tmp_path}/file/vigilry.db")


def test_a_database_of_a_later_version_is_told_in_one_line_and_left_alone(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/vigilry.db"
    migrate(url)
    engine = make_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    failure_of("db", "upgrade", DATABASE_URL=url)
    with engine.begin() as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == "9999"
    engine.dispose()


def test_help_is_readable() -> None:
    assert_readable_help(db_group)
