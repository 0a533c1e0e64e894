"""The consumers of docs/consumers.md: the very files that stand there, run against the real thing."""

import json
import os
import re
import shutil
import sqlite3
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.fixtures.consuming import Running, do_nothing
from tests.fixtures.node import install
from tests.fixtures.publishing import an_event, publisher_on
from tests.fixtures.servers.gunicorn import ROOT
from tests.fixtures.servers.listener import Answer, Listener
from tests.fixtures.servers.process import Process
from tests.fixtures.servers.valkey import NOT_READY, Valkey
from tests.fixtures.servers.waiting import wait_until
from tests.fixtures.servers.worker import Worker
from vigilry_ingest.domain.ids import new_id
from vigilry_ingest.stream.redis_keys import dead_key, events_key

PAGE = ROOT / "docs" / "consumers.md"
EXAMPLES = ROOT / "docs" / "examples"
STREAM = events_key(0)
PARTITIONS = 2


@pytest.fixture
def broker() -> Iterator[Valkey]:
    """Run a broker on a port, because not every client knows unix sockets."""
    with Valkey(unix=False, tcp=True, appendonly=False) as server:
        yield server


def publish(broker: Valkey, *messages: str, severity: str = "ERROR", project: str = "proj_1") -> list[str]:
    """Publish events and return their ids."""
    publisher = publisher_on(broker.tcp_url, partitions=PARTITIONS)
    events = [
        msgspec.structs.replace(an_event(project, each), id=new_id("evt"), severity=severity)
        for each in messages
    ]
    for event in events:
        publisher.publish(event)
    publisher.close()
    return [event.id for event in events]


def add(broker: Valkey, **fields: str) -> None:
    """Put an entry on the stream by hand."""
    broker.ask("XADD", STREAM, "*", *(part for pair in fields.items() for part in pair))


def add_what_is_not_for_it(broker: Valkey) -> None:
    """Put on the stream what was put back for another group alone, and what is no event."""
    (event,) = [an_event("proj_1", "for another group")]
    entry = event.to_entry()
    own = {str(name): str(value) for name, value in zip(entry[::2], entry[1::2], strict=True)}
    add(broker, **own, for_group="another", first_entry="1-1")
    add(broker, foreign="entry")


def let_a_dead_consumer_have_the_next(broker: Valkey, group: str) -> None:
    """Read as a consumer of the group that then dies, before it has acknowledged anything."""
    broker.ask("XGROUP", "CREATE", STREAM, group, "0", "MKSTREAM")
    broker.ask("XREADGROUP", "GROUP", group, "dead", "COUNT", 1, "STREAMS", STREAM, ">")


def wait_acknowledged(broker: Valkey, group: str) -> None:
    """Wait until a group has acknowledged all of every stream."""

    def is_done(partition: int) -> bool:
        groups = {each["name"]: each for each in broker.ask("XINFO", "GROUPS", events_key(partition))}
        return (groups[group]["lag"], groups[group]["pending"]) == (0, 0)

    wait_until(
        lambda: all(is_done(partition) for partition in range(PARTITIONS)),
        15.0,
        f"{group} has acknowledged all",
        ignoring=(KeyError, *NOT_READY),
    )


def example(broker: Valkey, *command: str, cwd: Path, **settings: str) -> Process:
    """Prepare one of the page's programs."""
    env = os.environ | {
        "REDIS_URL": broker.tcp_url,
        "PARTITIONS": str(PARTITIONS),
        "CLAIM_AFTER_MS": "100",
        **settings,
    }
    return Process(command, env=env, cwd=cwd)


# The page


@pytest.mark.parametrize("name", ["consumer.py", "consumer.mjs", "chat_handler.py"])
def test_the_page_shows_the_very_file_that_is_run(name: str) -> None:
    blocks = re.findall(r"^```(?:python|js)\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert (EXAMPLES / name).read_text() in blocks


@pytest.mark.parametrize("name", ["consumer.py", "consumer.mjs"])
def test_a_whole_consumer_takes_no_more_than_thirty_lines(name: str) -> None:
    assert len((EXAMPLES / name).read_text().splitlines()) <= 30


def test_the_page_names_every_field_of_an_entry() -> None:
    page = PAGE.read_text()
    event = msgspec.structs.fields(type(an_event("proj_1")))
    for name in ("v", *(field.name for field in event), "for_group", "first_entry"):
        assert re.search(rf"^\| `{name}` \|", page, re.MULTILINE), name


# The consumers


def test_the_python_consumer_keeps_each_event_once_and_skips_what_is_not_for_it(
    broker: Valkey, tmp_path: Path
) -> None:
    ids = publish(broker, "first", "second", "third\0ünïcode")
    ids += publish(broker, "of another partition", project="proj_2")
    add_what_is_not_for_it(broker)
    let_a_dead_consumer_have_the_next(broker, "mirror")
    file = tmp_path / "mirror.db"
    consumer = example(broker, sys.executable, str(EXAMPLES / "consumer.py"), cwd=tmp_path, MIRROR=str(file))
    with consumer:
        wait_acknowledged(broker, "mirror")
        # The group is made again: all that is still there comes once more.
        consumer.kill()
        broker.ask("XGROUP", "DESTROY", STREAM, "mirror")
        consumer.start()
        ids += publish(broker, "later")
        wait_acknowledged(broker, "mirror")
        assert consumer.alive, consumer.log_text()
    with sqlite3.connect(file) as mirror:
        rows = mirror.execute("SELECT id, message FROM events ORDER BY rowid").fetchall()
    mirror.close()
    assert sorted(id_ for id_, _ in rows) == sorted(ids)
    assert {message for _, message in rows} == {
        "first", "second", "third\0ünïcode", "of another partition", "later",
    }  # fmt: skip


@pytest.fixture(scope="session")
def node_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder with the page's Node program and the package that it needs."""
    folder = tmp_path_factory.mktemp("node")
    shutil.copy(EXAMPLES / "consumer.mjs", folder)
    return install(folder, "install", "redis")


def test_the_node_consumer_keeps_each_error_once_and_skips_what_is_not_for_it(
    broker: Valkey, node_folder: Path
) -> None:
    ids = publish(broker, "first", "second")
    publish(broker, "harmless", severity="INFO")
    others = publish(broker, "of another partition", project="proj_2")
    add_what_is_not_for_it(broker)
    let_a_dead_consumer_have_the_next(broker, "errors")
    consumer = example(broker, "node", "consumer.mjs", cwd=node_folder)
    with consumer:
        wait_acknowledged(broker, "errors")
        ids += publish(broker, "later")
        wait_acknowledged(broker, "errors")
        assert consumer.alive, consumer.log_text()
    kept = broker.ask("HGETALL", "errors:proj_1")
    assert kept == dict(zip(ids, ["first", "second", "later"], strict=True))
    assert list(broker.ask("HGETALL", "errors:proj_2")) == others


def test_what_a_consumer_of_another_language_has_acknowledged_is_trimmed(
    broker: Valkey, tmp_path: Path
) -> None:
    publish(broker, "first", "second")
    program = str(EXAMPLES / "consumer.py")
    consumer = example(broker, sys.executable, program, cwd=tmp_path, MIRROR=f"{tmp_path}/mirror.db")
    with consumer:
        wait_acknowledged(broker, "mirror")
        with Running(broker.tcp_url, do_nothing, partitions=PARTITIONS):
            wait_until(lambda: broker.ask("XLEN", STREAM) == 0, 10.0, "the stream is trimmed")


# The second handler


class Chat(Listener):
    """A chat's webhook: keeps what is posted, and answers with the codes that it is given first."""

    def __init__(self, *codes: int) -> None:
        super().__init__()
        self.posts: list[dict[str, Any]] = []
        self._codes = list(codes)

    def take(self, body: bytes, _headers: Mapping[str, str]) -> Answer:
        """Take a post."""
        code = self._codes.pop(0) if self._codes else 200
        if code == 200:
            self.posts.append(json.loads(body))
        return Answer(code)

    @property
    def url(self) -> str:
        """Return the webhook's address."""
        return f"{self.address}/hook"

    @property
    def lines(self) -> list[str]:
        """Return the lines of all posts."""
        return [line for post in self.posts for line in post["text"].splitlines()]


def chat_worker(broker: Valkey, chat: Chat, folder: Path) -> Worker:
    """Prepare the worker as the page says to run it."""
    settings: dict[str, str | int] = {
        "VIGILRY_REDIS_URL": broker.tcp_url,
        "VIGILRY_DATABASE_URL": f"sqlite:///{folder}/unused.db",
        "VIGILRY_STREAM_PARTITIONS": PARTITIONS,
        "PYTHONPATH": str(EXAMPLES),
        "CHAT_WEBHOOK_URL": chat.url,
    }
    return Worker(settings, "--group", "chat", "--handler", "chat_handler:notify")


def test_the_chat_is_told_of_errors_and_of_nothing_else(broker: Valkey, tmp_path: Path) -> None:
    publish(broker, "the till is on fire", "so is the shop", severity="CRITICAL")
    publish(broker, "a customer came in", severity="INFO")
    with Chat() as chat, chat_worker(broker, chat, tmp_path) as worker:
        wait_acknowledged(broker, "chat")
        assert worker.alive
    assert chat.lines == [
        "CRITICAL checkout_failed: the till is on fire",
        "CRITICAL checkout_failed: so is the shop",
    ]


def test_a_chat_that_is_down_is_waited_for_and_one_that_refuses_costs_the_event(
    broker: Valkey, tmp_path: Path
) -> None:
    publish(broker, "the till is on fire")
    with Chat(503, 429) as chat, chat_worker(broker, chat, tmp_path):
        wait_acknowledged(broker, "chat")
        assert chat.lines == ["ERROR checkout_failed: the till is on fire"]
        assert broker.ask("XLEN", dead_key(0)) + broker.ask("XLEN", dead_key(1)) == 0
