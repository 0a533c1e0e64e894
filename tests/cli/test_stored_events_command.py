"""``flask events list|show|stats``: how a support engineer finds events."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import Engine

from tests.fixtures.commands import Commands
from tests.fixtures.consuming import Running
from tests.fixtures.databases import migrate
from tests.fixtures.flask_commands import failure_of, flask_well, on_terminal_of
from tests.fixtures.publishing import an_event, new_project, publisher_on
from tests.fixtures.servers.valkey import NOT_READY, Valkey
from tests.fixtures.servers.waiting import wait_until
from vigilry_ingest.api_keys.registry import mint
from vigilry_ingest.domain.event import Event
from vigilry_ingest.domain.ids import new_id
from vigilry_ingest.storage.engine import make_engine
from vigilry_ingest.storage.event_writer import Store
from vigilry_ingest.stream.redis_keys import DEFAULT_GROUP, events_key, partition_of

PARTITIONS = 2
UNREACHABLE = "postgresql+psycopg://user:hunter2@127.0.0.1:1/none"
# What a hostile sender would like to do to an operator's terminal, and to the next line.
HOSTILE = "a\x1b[31mred\x1b]0;title\x07\x9b2Jb\r\nc\td\u2028e\u202ef\x7fg"


class Site:
    """A broker with two partitions, a database, and the commands on both."""

    def __init__(self, valkey: Valkey, database_url: str, engine: Engine, commands: Commands) -> None:
        self.valkey = valkey
        self.database_url = database_url
        self.engine = engine
        self.commands = commands
        self._publisher = publisher_on(valkey.url, partitions=PARTITIONS)

    @property
    def settings(self) -> dict[str, str]:
        """Return the settings for ``flask`` in a process of its own."""
        return {
            "REDIS_URL": self.valkey.url,
            "DATABASE_URL": self.database_url,
            "STREAM_PARTITIONS": str(PARTITIONS),
        }

    def publish(self, project: str, message: str = "a message", **fields: Any) -> tuple[str, Event]:
        """Put an event on its stream; return its jobId and itself."""
        own = fields | {"id": new_id("evt")}
        event: Event = msgspec.structs.replace(an_event(project, message), **own)
        return self._publisher.publish(event).job_id, event

    def store(self, project: str, message: str = "a message", **fields: Any) -> tuple[str, Event]:
        """Put an event on its stream and have it stored; return its jobId and itself."""
        published = self.publish(project, message, **fields)
        self.drain()
        return published

    def drain(self) -> None:
        """Let the default worker store all that waits."""
        with Running(self.valkey.url, Store(self.engine).write, partitions=PARTITIONS):
            wait_until(
                lambda: all(map(self._is_drained, range(PARTITIONS))),
                10.0,
                "all is stored",
                ignoring=NOT_READY,
            )

    def close(self) -> None:
        """Close the connections."""
        self._publisher.close()

    def _is_drained(self, partition: int) -> bool:
        with self.valkey.client() as client:
            groups: Any = client.xinfo_groups(events_key(partition))
        return any(
            group["name"] == DEFAULT_GROUP and (group["lag"], group["pending"]) == (0, 0) for group in groups
        )


@contextmanager
def open_site(folder: Path) -> Iterator[Site]:
    """Start the broker and make the database."""
    url = f"sqlite:///{folder}/vigilry.db"
    migrate(url)
    engine = make_engine(url)
    with (
        Valkey(appendonly=False) as valkey,
        Commands(redis_url=valkey.url, database_url=url, stream_partitions=PARTITIONS) as commands,
    ):
        site = Site(valkey, url, engine, commands)
        yield site
        site.close()
    engine.dispose()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with open_site(tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.fixture
def project(site: Site) -> str:
    """Make a project of the test's own and return its id."""
    return mint(site.engine, f"shop {new_project()}", "production").project_id


def at(second: int) -> str:
    """Write a moment as the service does."""
    return f"2026-01-31T10:00:{second:02}.000Z"


def listed(site: Site, project: str, *options: str) -> list[str]:
    """List a project's events by the command, and return their messages."""
    lines = site.commands.json("events", "list", "--project", project, *options)
    return [line["message"] for line in lines]


# list


def test_stored_events_are_listed_newest_first_one_on_a_line(site: Site, project: str) -> None:
    posted = [
        site.publish(project, f"number {each}", received_at=at(each), type="seen", source="shop")
        for each in range(4)
    ]
    site.drain()
    lines = site.commands.well("events", "list", "--project", project, "-n", "3").splitlines()
    assert len(lines) == 3
    for line, (job_id, event) in zip(lines, posted[:0:-1], strict=True):
        assert line.endswith(job_id)
        for shown in (event.message, event.received_at, "seen", "ERROR", "shop", "event"):
            assert shown in line
        assert "\x1b" not in line, "there is no terminal to colour"


def test_json_lines_hold_every_field_and_the_payload_as_it_was_sent(site: Site, project: str) -> None:
    payload = b'{"big": 1e400, "n": 1234567890123456789012345678901234567890,\n"zero": -0.0, "t": "\\u0000"}'
    job_id, event = site.store(
        project, "line\nbreak", payload=payload, correlation=b'{"user": "u1"}', idempotency_key="k",
        source="s",
    )  # fmt: skip
    line = site.commands.well("events", "list", "--project", project, "--json")
    assert "1e400" in line
    assert "1234567890123456789012345678901234567890" in line
    shown = json.loads(line, parse_float=Decimal)
    assert shown.pop("jobId") == job_id
    assert repr(shown.pop("payload")) == repr(json.loads(payload, parse_float=Decimal))
    assert shown.pop("correlation") == {"user": "u1"}
    expected = msgspec.structs.asdict(event)
    assert shown == {
        name: value for name, value in expected.items() if value is not None and not isinstance(value, bytes)
    }


def test_the_list_is_narrowed_by_severity_kind_and_type(site: Site, project: str) -> None:
    site.publish(project, "a", severity="INFO", kind="webhook", type="push")
    site.publish(project, "b", severity="ERROR", kind="webhook", type="push")
    site.publish(project, "c", severity="ERROR", kind="stripe", type="charge.failed")
    site.drain()
    assert sorted(listed(site, project)) == ["a", "b", "c"]
    assert sorted(listed(site, project, "--severity", "ERROR")) == ["b", "c"]
    assert sorted(listed(site, project, "--kind", "webhook")) == ["a", "b"]
    assert listed(site, project, "--type", "charge.failed") == ["c"]
    assert listed(site, project, "--kind", "webhook", "--severity", "ERROR", "--type", "push") == ["b"]
    assert listed(site, project, "--type", "nothing") == []


def test_the_list_is_narrowed_by_a_time_range_in_utc(site: Site, project: str) -> None:
    for each in range(5):
        site.publish(project, f"{each}", received_at=at(each))
    site.drain()
    assert listed(site, project, "--from", "2026-01-31T10:00:03") == ["4", "3"]
    assert listed(site, project, "--to", "2026-01-31T10:00:01") == ["0"]
    assert listed(site, project, "--from", "2026-01-31", "--to", "2026-02-01") == ["4", "3", "2", "1", "0"]
    assert listed(site, project, "--from", "2026-01-31 10:01") == []
    assert listed(site, project, "--to", "2026-01-31T10:00") == []


def test_the_list_is_narrowed_by_correlation(site: Site, project: str) -> None:
    site.publish(project, "a", correlation=b'{"order": "1=2", "user": "u"}')
    site.publish(project, "b", correlation=b'{"order": "3", "user": "u", "n": 7}')
    site.drain()
    assert listed(site, project, "--correlation", "order=1=2") == ["a"]
    assert sorted(listed(site, project, "--correlation", "user=u")) == ["a", "b"]
    assert listed(site, project, "--correlation", "user=u", "--correlation", "n=7") == ["b"]
    assert listed(site, project, "--correlation", "user=") == []


def test_a_project_is_given_by_its_name_or_its_id(site: Site) -> None:
    minted = mint(site.engine, "the web shop", "production")
    site.store(minted.project_id, "mine")
    assert listed(site, "the web shop") == listed(site, minted.project_id) == ["mine"]


def test_a_list_of_nothing_says_so_to_people_and_nothing_to_programs(site: Site) -> None:
    assert site.commands.well("events", "list", "--type", "none").strip() == "There are no matching events."
    assert site.commands.well("events", "list", "--type", "none", "--json") == ""


@pytest.mark.parametrize("mistyped", ["nosuch", "", "proj_01M89ASYEDP3KWNTHZSAB7WHDD"])
def test_a_project_that_is_mistyped_is_said_to_be_unknown(site: Site, mistyped: str) -> None:
    for words in (["list"], ["tail"], ["replay", "--group", "store"]):
        said = site.commands.failure_of("events", *words, "--project", mistyped)
        assert f"No project has the name or id {mistyped}: see" in said


def test_no_control_character_of_a_sender_reaches_the_output(site: Site, project: str) -> None:
    job_id, _ = site.store(
        project, HOSTILE, type=HOSTILE, source=HOSTILE, idempotency_key="k",
        correlation=json.dumps({HOSTILE: HOSTILE}, ensure_ascii=False).encode(),
        payload=json.dumps({HOSTILE: HOSTILE}, ensure_ascii=True).encode(),
    )  # fmt: skip
    (line,) = site.commands.well("events", "list", "--project", project).split("\n")[:-1]
    assert line.isprintable(), ascii(line)
    page = site.commands.well("events", "show", job_id)
    assert all(each.isprintable() for each in page.split("\n")), ascii(page)
    settings = {
        "REDIS_URL": site.valkey.url, "DATABASE_URL": site.database_url, "STREAM_PARTITIONS": str(PARTITIONS)
    }  # fmt: skip
    for words in (["events", "show", job_id, "--json"], ["events", "list", "--project", project, "--json"]):
        code, shown = on_terminal_of(200, {}, *words, **settings)
        assert code == 0
        (line,) = shown.split("\r\n")[:-1]
        assert line.isprintable(), ascii(line)
        assert json.loads(line)["payload"] == {HOSTILE: HOSTILE}


@pytest.mark.parametrize(
    "words",
    [
        ["--correlation", "order"],
        ["--from", "yesterday"],
        ["--severity", "error"],
        ["--kind", "events"],
        ["-n", "0"],
        ["unexpected"],
    ],
)
def test_a_misuse_is_refused_with_the_usage(site: Site, words: list[str]) -> None:
    done = site.commands.run("events", "list", *words)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "Usage: " in done.stderr


# show


def test_a_stored_event_is_shown_by_either_id(site: Site, project: str) -> None:
    job_id, event = site.store(project, "look at me", payload=b'{"big": 1e400,  "a": [1]}', source="shop")
    page = site.commands.well("events", "show", job_id)
    assert page == site.commands.well("events", "show", event.id)
    told = dict(line.split(maxsplit=1) for line in page.splitlines() if re.match(r"\w", line))
    assert told["jobId"] == job_id
    for name in ("id", "project_id", "environment", "kind", "type", "severity", "source", "message"):
        assert told[name] == getattr(event, name)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", told["processed_at"])
    assert '"big": 1e400' in page


def test_a_stored_event_is_shown_as_json(site: Site, project: str) -> None:
    job_id, event = site.store(project, "look at me", payload=b'{"a": 1}')
    for id_ in (job_id, event.id):
        (shown,) = site.commands.json("events", "show", id_)
        assert (shown["jobId"], shown["id"], shown["message"]) == (job_id, event.id, "look at me")
        assert shown["payload"] == {"a": 1}
        assert shown["processed_at"] > "2026"


@pytest.mark.parametrize("which", ["jobId", "event's id"])
def test_an_event_that_waits_on_its_stream_is_shown_too(site: Site, project: str, which: str) -> None:
    job_id, event = site.publish(project, "not stored yet")
    id_ = job_id if which == "jobId" else event.id
    try:
        assert "not stored yet" in site.commands.well("events", "show", id_)
        (shown,) = site.commands.json("events", "show", id_)
        assert (shown["jobId"], shown["id"]) == (job_id, event.id)
        assert "processed_at" not in shown
    finally:
        site.drain()


def test_events_of_two_partitions_that_share_a_job_id_are_both_shown(site: Site) -> None:
    # An entry's id must be higher than those before it.
    site.valkey.ask("FLUSHALL")
    projects = {partition_of(each, PARTITIONS): each for each in (new_project() for _ in range(50))}
    for partition, project in projects.items():
        entry = an_event(project, f"on {partition}").to_entry()
        entry[entry.index("id") + 1] = new_id("evt")
        site.valkey.ask("XADD", events_key(partition), "1769853600000-7", *entry)  # type: ignore[arg-type]
    on_stream = site.commands.json("events", "show", "bull-1769853600000000007")
    assert {each["message"] for each in on_stream} == {"on 0", "on 1"}
    site.drain()
    stored = site.commands.json("events", "show", "bull-1769853600000000007")
    assert {each["message"] for each in stored} == {"on 0", "on 1"}


def test_a_long_message_is_shown_whole(site: Site, project: str) -> None:
    job_id, _ = site.store(project, "x" * 3000 + " and its end")
    assert "and its end" in site.commands.well("events", "show", job_id)


@pytest.mark.parametrize("id_", ["bull-1", "evt_none", "bull-x", "", f"bull-{2**64}", "…"])
def test_an_unknown_id_is_told_in_one_line(site: Site, id_: str) -> None:
    assert id_ in site.commands.failure_of("events", "show", id_)


def test_a_stored_event_is_shown_without_the_broker(site: Site, project: str) -> None:
    job_id, _ = site.store(project, "look at me")
    with Commands(redis_url="redis://127.0.0.1:1/0", database_url=site.database_url) as commands:
        assert "look at me" in commands.well("events", "show", job_id)


# stats, and what can be wrong


def test_the_stats_have_a_line_for_each_partition_and_group(site: Site, project: str) -> None:
    site.drain()
    site.publish(project, "waiting")
    site.valkey.ask("XGROUP", "CREATE", events_key(partition_of(project, PARTITIONS)), "chat", "0")
    try:
        table = site.commands.well("events", "stats")
        states = site.commands.json("events", "stats")
    finally:
        site.valkey.ask("XGROUP", "DESTROY", events_key(partition_of(project, PARTITIONS)), "chat")
        site.drain()
    assert [state["partition"] for state in states] == [0, 1]
    mine = states[partition_of(project, PARTITIONS)]
    assert {group["name"]: group["lag"] for group in mine["groups"]} == {"chat": 1, "store": 1}
    assert table.splitlines()[0].split() == [
        "PARTITION", "ENTRIES", "DEAD", "GROUP", "LAG", "PENDING", "OLDEST", "WORKER",
    ]  # fmt: skip
    assert re.search(r"chat +1 +0 +\d+ s +none", table)


COMMANDS = {
    "list": ["events", "list"],
    "show": ["events", "show", "bull-1"],
    "stats": ["events", "stats"],
    "replay": ["events", "replay", "--group", "chat"],
    "forget-group": ["events", "forget-group", "chat", "--yes"],
    "dead list": ["events", "dead", "list"],
    "dead show": ["events", "dead", "show", "0:1-1"],
    "dead retry": ["events", "dead", "retry", "--all"],
    "dead drop": ["events", "dead", "drop", "--all", "--yes"],
}


@pytest.mark.parametrize("name", ["list", "show", "replay"])
def test_a_database_that_cannot_be_used_is_told_in_one_line_without_its_password(
    site: Site, tmp_path: Path, name: str
) -> None:
    with Commands(redis_url=site.valkey.url, database_url=UNREACHABLE) as commands:
        assert "hunter2" not in commands.failure_of(*COMMANDS[name])
    with Commands(redis_url=site.valkey.url, database_url=f"sqlite:///{tmp_path}/new.db") as commands:
        assert "flask db upgrade" in commands.failure_of(*COMMANDS[name])


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "list"])
def test_a_broker_that_cannot_be_used_is_told_in_one_line_without_its_password(site: Site, name: str) -> None:
    urls = [
        "redis://:hunter2@127.0.0.1:1/0",
        "redis+cluster://:hunter2@127.0.0.1:1",
        "redis+sentinel://:hunter2@127.0.0.1:1/service",
    ]
    for url in urls:
        with Commands(redis_url=url, database_url=site.database_url) as commands:
            assert "hunter2" not in commands.failure_of(*COMMANDS[name]), url


def test_the_commands_work_as_processes_too(site: Site, project: str) -> None:
    job_id, _ = site.store(project, "look at me")
    assert json.loads(flask_well("events", "show", job_id, "--json", **site.settings))["jobId"] == job_id
    assert "bull-1" in failure_of("events", "show", "bull-1", **site.settings)
