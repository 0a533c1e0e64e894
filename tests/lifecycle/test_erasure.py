"""Erased events are found nowhere: not in the database, on a stream, among dead letters, or in a file."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine

from tests.fixtures.commands import Commands
from tests.fixtures.consuming import Notebook, Running
from tests.fixtures.databases import dispose, migrate, new_database
from tests.fixtures.publishing import entries_of, publisher_on
from tests.fixtures.servers.valkey import Valkey
from tests.fixtures.servers.waiting import wait_until
from tests.fixtures.stored_events import delivered, messages_of, store
from vigilry_ingest.api_keys.registry import mint
from vigilry_ingest.domain.event import Event
from vigilry_ingest.domain.ids import new_id
from vigilry_ingest.storage.engine import make_engine
from vigilry_ingest.storage.event_writer import Store
from vigilry_ingest.stream.consuming.dead_letters import dead_letters
from vigilry_ingest.stream.redis_keys import dead_index_key, events_key

PERSON = "usr_9_of_the_test"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return a database of the test's own."""
    return new_database(request.param, request, tmp_path)


@pytest.fixture
def own_engine(url: str) -> Iterator[Engine]:
    engine = make_engine(url)
    yield engine
    dispose(engine)


@pytest.fixture
def project(own_engine: Engine) -> str:
    return mint(own_engine, "shop", "production").project_id


@pytest.fixture
def other(own_engine: Engine) -> str:
    return mint(own_engine, "other shop", "production").project_id


@pytest.fixture
def broker() -> Iterator[Valkey]:
    """Run a broker that keeps an append-only file."""
    with Valkey() as server:
        yield server


@pytest.fixture
def commands(broker: Valkey, url: str) -> Iterator[Commands]:
    with Commands(redis_url=broker.url, database_url=url) as commands:
        yield commands


def publish(broker: Valkey, project: str, message: str, correlation: Mapping[str, Any] | None = None) -> str:
    """Publish an event and return its jobId."""
    event = Event(
        id=new_id("evt"), project_id=project, environment="production", kind="event", type="t",
        severity="INFO", message=message, received_at="2026-01-01T00:00:00.000Z", request_id="r",
        correlation=json.dumps(correlation).encode() if correlation else None,
    )  # fmt: skip
    publisher = publisher_on(broker.url)
    try:
        return publisher.publish(event).job_id
    finally:
        publisher.close()


def dump(engine: Engine) -> str:
    """Return all rows of all tables as text."""
    texts = []
    plain = create_engine(engine.url)
    with plain.connect() as connection:
        for table in ("events", "event_correlations", "projects", "api_keys", "sources", "source_secrets"):
            texts += [str(row) for row in connection.exec_driver_sql(f"SELECT * FROM {table}")]  # noqa: S608  constants
    plain.dispose()
    return "\n".join(texts)


def append_only_file(broker: Valkey) -> bytes:
    """Rewrite the broker's append-only file and return its content."""
    broker.ask("BGREWRITEAOF")
    with broker.client() as client:
        wait_until(lambda: not _persistence(client)["aof_rewrite_in_progress"], 10, "it is rewritten")
    folder = Path(broker.ask("CONFIG", "GET", "dir")["dir"])
    return b"".join(path.read_bytes() for path in folder.rglob("*aof*") if path.is_file())


def _persistence(client: Any) -> Mapping[str, Any]:
    state: Mapping[str, Any] = client.info("persistence")
    return state


def fail_for_the_doomed(events: Any) -> None:
    """Fail on events that shall become dead letters."""
    if any("doomed" in event.message for event in events):
        raise ValueError("no")


def test_a_person_is_erased_from_all_places_and_nobody_else(
    broker: Valkey, own_engine: Engine, project: str, other: str, commands: Commands
) -> None:
    person, somebody = {"user_id": PERSON, "order": 1}, {"user_id": "usr_8"}
    store(own_engine, delivered(project, message="stored", correlation=person))
    store(own_engine, delivered(project, message="somebody", correlation=somebody))
    store(own_engine, delivered(other, message="of another project", correlation=person))
    # A dead letter, and entries that one group has pending and another has not seen.
    publish(broker, project, "doomed", person)
    with Running(broker.url, fail_for_the_doomed, deliveries=1):
        wait_until(lambda: broker.ask("XLEN", "vigilry:{0}:dead") == 1, 10, "it is dead")
    broker.ask("XGROUP", "CREATE", events_key(0), "slow", "0")
    publish(broker, project, "pending", person)
    broker.ask("XREADGROUP", "GROUP", "slow", "w", "STREAMS", events_key(0), ">")
    broker.ask("XGROUP", "CREATE", events_key(0), "later", "0")
    publish(broker, project, "unread", person)
    publish(broker, project, "kept", somebody)
    publish(broker, other, "kept of another project", person)
    words = ("events", "erase", "--project", "shop", "--correlation", f"user_id={PERSON}")
    counted = {"events": 1, "entries": 2, "dead_letters": 1}
    assert commands.json(*words, "--dry-run") == [counted | {"dry_run": True}]
    assert commands.json(*words, "--yes") == [counted | {"dry_run": False}]
    assert commands.json(*words, "--dry-run") == [dict.fromkeys(counted, 0) | {"dry_run": True}]
    assert messages_of(own_engine, project) == ["somebody"]
    assert messages_of(own_engine, other) == ["of another project"]
    with broker.client(decode_responses=False) as client:
        entries = [fields[b"message"] for _, fields in entries_of(broker)]
        assert entries == [b"kept", b"kept of another project"]
        assert list(dead_letters(client, 1)) == []
        assert client.hlen(dead_index_key(0)) == 0
        groups: Any = client.xinfo_groups(events_key(0))
        assert [group["pending"] for group in groups] == [0] * len(groups)
    # The other project's data has the same id of a person.
    commands.well("projects", "delete", "other shop", "--confirm", "other shop")
    assert PERSON not in dump(own_engine)
    assert PERSON.encode() not in append_only_file(broker)


@pytest.mark.one_database
def test_the_file_of_sqlite_has_no_bytes_of_an_erased_person(tmp_path: Path, broker: Valkey) -> None:
    url = f"sqlite:///{tmp_path}/vigilry.db"
    migrate(url)
    engine = make_engine(url)
    project = mint(engine, "shop", "production").project_id
    for _ in range(50):
        store(engine, delivered(project, correlation={"user_id": PERSON}, message=f"of {PERSON}"))
    store(engine, *(delivered(project, message="of others") for _ in range(50)))
    with Commands(redis_url=broker.url, database_url=url) as commands:
        commands.well("events", "erase", "--project", "shop", "--correlation", f"user_id={PERSON}", "--yes")
    dispose(engine)
    files = list(tmp_path.glob("vigilry.db*"))
    assert files
    assert all(PERSON.encode() not in path.read_bytes() for path in files)


@pytest.mark.one_database
def test_what_a_worker_stores_while_a_person_is_erased_is_erased_too(
    broker: Valkey, own_engine: Engine, project: str, commands: Commands
) -> None:
    for number in range(50):
        publish(broker, project, f"event {number}", {"user_id": PERSON})
    notebook = Notebook(Store(own_engine).write)
    with Running(broker.url, notebook.handle, batch=1):
        notebook.wait_handled(3)
        commands.well("events", "erase", "--project", "shop", "--correlation", f"user_id={PERSON}", "--yes")
        wait_until(
            lambda: not entries_of(broker) or not messages_of(own_engine, project), 10, "nothing is left"
        )
    assert messages_of(own_engine, project) == []
    assert PERSON not in dump(own_engine)


@pytest.mark.parametrize("value", ['"42"', "42", "true", "null", "1e400", '"\\u0075sr"', '"a b=c"'])
def test_values_match_as_the_list_of_events_finds_them(
    own_engine: Engine, project: str, commands: Commands, value: str
) -> None:
    text = json.loads(value) if value.startswith('"') else value
    store(own_engine, delivered(project, correlation=f'{{"a":{value}}}'.encode()))
    found = commands.json("events", "list", "--project", "shop", "--correlation", f"a={text}")
    assert len(found) == 1
    words = ("events", "erase", "--project", "shop", "--correlation", f"a={text}", "--yes")
    assert commands.json(*words)[0]["events"] == 1


@pytest.mark.one_database
def test_an_entry_that_is_not_an_event_is_left_alone(
    broker: Valkey, project: str, commands: Commands
) -> None:
    for correlation in (b"not JSON", b"\xff", b"[" * 100_000, b"{}", b"[1]"):
        with broker.client(decode_responses=False) as client:
            client.xadd(events_key(0), {b"project_id": project.encode(), b"correlation": correlation})
    words = ("events", "erase", "--project", "shop", "--correlation", "a=b", "--yes")
    assert commands.json(*words)[0]["entries"] == 0
    assert len(entries_of(broker)) == 5


@pytest.mark.one_database
def test_what_is_to_be_erased_must_be_said(project: str, commands: Commands) -> None:
    assert project
    done = commands.run("events", "erase", "--project", "shop")
    assert (done.exit_code, "Specify --correlation" in done.stderr) == (2, True)
    done = commands.run("events", "erase", "--project", "shop", "--correlation", f"a={'x' * 201}")
    assert (done.exit_code, "at most 200 characters" in done.stderr) == (2, True)
    assert "No project has the name or id nobody" in commands.failure_of(
        "events", "erase", "--project", "nobody", "--correlation", "a=b", "--yes"
    )


@pytest.mark.usefixtures("through")
def test_a_deleted_project_leaves_nothing(
    broker: Valkey, own_engine: Engine, project: str, other: str, commands: Commands
) -> None:
    key = commands.json("keys", "mint", "shop")[0]
    store(own_engine, delivered(project, correlation={"a": 1}), delivered(other))
    publish(broker, project, "unread")
    publish(broker, other, "of another project")
    for given, why in (("other shop", "is not the name of the project, shop"), ("", "is not the name")):
        assert why in commands.failure_of("projects", "delete", project, "--confirm", given)
    aborted = commands.run("projects", "delete", project, answer="no\n")
    assert aborted.exit_code == 1
    assert messages_of(own_engine, project) == ["a message"]
    done = commands.run("projects", "delete", project, answer="shop\n")
    assert (done.exit_code, "none is left" in done.stdout) == (0, True), done.output
    text = dump(own_engine)
    assert project not in text
    assert key["key_id"] not in text
    assert messages_of(own_engine, other) == ["a message"]
    assert [fields[b"message"] for _, fields in entries_of(broker)] == [b"of another project"]
    assert "No project has the name or id shop" in commands.failure_of("projects", "delete", "shop")
