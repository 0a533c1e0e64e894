"""``flask events purge``, ``flask projects retain`` and ``flask db compact``."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.fixtures.commands import Commands
from tests.fixtures.databases import dispose, migrate
from tests.fixtures.servers.valkey import Valkey
from tests.fixtures.stored_events import delivered, messages_of, store
from vigilry_ingest.api_keys.registry import mint
from vigilry_ingest.storage.engine import make_engine

pytestmark = pytest.mark.one_database


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/own.db"
    migrate(url)
    return url


@pytest.fixture
def own_engine(url: str) -> Iterator[Engine]:
    engine = make_engine(url)
    yield engine
    dispose(engine)


@pytest.fixture
def commands(broker: Valkey, url: str) -> Iterator[Commands]:
    with Commands(redis_url=broker.url, database_url=url) as commands:
        yield commands


@pytest.fixture
def shop(own_engine: Engine) -> str:
    """Make a project with an event of today and one of 20 days ago."""
    project = mint(own_engine, "shop", "production").project_id
    store(own_engine, delivered(project, message="new"), delivered(project, days_old=20, message="old"))
    return project


def test_a_purge_deletes_what_is_older_than_a_time_after_it_was_confirmed(
    commands: Commands, own_engine: Engine, shop: str
) -> None:
    words = ("events", "purge", "--older-than", "10d")
    assert commands.json(*words, "--dry-run") == [{"events": 1, "dead_letters": 0, "dry_run": True}]
    assert commands.run(*words, answer="n\n").exit_code == 1
    assert messages_of(own_engine, shop) == ["new", "old"]
    done = commands.run(*words, answer="y\n")
    assert "Delete 1 events and 0 dead letters?" in done.output
    assert "1 events and 0 dead letters deleted." in done.output
    assert messages_of(own_engine, shop) == ["new"]
    assert "0 events and 0 dead letters deleted." in commands.well(*words)


def test_a_purge_of_one_project_leaves_others(commands: Commands, own_engine: Engine, shop: str) -> None:
    other = mint(own_engine, "other", "production").project_id
    store(own_engine, delivered(other, days_old=20))
    commands.well("events", "purge", "--older-than", "10d", "--project", "shop", "--yes")
    assert (messages_of(own_engine, shop), len(messages_of(own_engine, other))) == (["new"], 1)


def test_a_purge_without_a_time_follows_the_days_of_the_projects(
    commands: Commands, own_engine: Engine, shop: str
) -> None:
    done = commands.run("events", "purge", "--yes")
    assert (done.exit_code, "All events are kept for ever" in done.stderr) == (2, True)
    assert "are kept for 5 days" in commands.well("projects", "retain", "shop", "--days", "5")
    commands.well("events", "purge", "--yes")
    assert messages_of(own_engine, shop) == ["new"]


@pytest.mark.usefixtures("through")
def test_the_days_of_a_project_are_set_listed_and_removed(commands: Commands, shop: str) -> None:
    assert commands.json("projects", "retain", shop, "--days", "30") == [
        {"project_id": shop, "project": "shop", "retention_days": 30}
    ]
    assert commands.json("projects", "list")[0]["retention_days"] == 30
    assert "are kept for ever." in commands.well("projects", "retain", "shop", "--days", "0")
    assert "are kept for VIGILRY_RETENTION_DAYS" in commands.well("projects", "retain", "shop", "--default")
    assert commands.json("projects", "list")[0]["retention_days"] is None
    for words in ((), ("--days", "1", "--default"), ("--days", "-1"), ("--days", "36501")):
        assert commands.run("projects", "retain", "shop", *words).exit_code == 2
    assert "No project has" in commands.failure_of("projects", "retain", "nobody", "--days", "1")


def test_a_file_is_compacted(commands: Commands, own_engine: Engine, shop: str) -> None:
    assert shop
    store(own_engine, *(delivered(shop, days_old=9, payload=b'"' + b"x" * 9000 + b'"') for _ in range(50)))
    assert commands.json("db", "compact") == [{"freed_bytes": 0}]
    assert "Freed 0 bytes" in commands.well("db", "compact")


def test_only_a_file_of_sqlite_is_compacted(broker: Valkey) -> None:
    url = "postgresql+psycopg://nobody@127.0.0.1:1/none"
    with Commands(redis_url=broker.url, database_url=url) as commands:
        assert "PostgreSQL frees space by itself" in commands.failure_of("db", "compact")


def test_a_purge_with_the_broker_away_says_so_and_deletes_nothing(
    commands: Commands, own_engine: Engine, broker: Valkey, shop: str
) -> None:
    broker.stop()
    commands.failure_of("events", "purge", "--older-than", "10d", "--yes")
    assert messages_of(own_engine, shop) == ["new", "old"]
