"""``flask events``: an operator looks at what is on the streams."""

import json
import os
import pty
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from decimal import Decimal
from pathlib import Path
from queue import Empty
from typing import Any

import pytest

from tests.fixtures.databases import migrate
from tests.fixtures.flask_commands import (
    ROOT,
    Running,
    assert_misuse,
    assert_readable_help,
    command,
    environment,
    failure_of,
    the_one_line,
)
from tests.fixtures.servers.gunicorn import Service
from tests.fixtures.servers.valkey import Valkey
from vigilry_ingest.api_keys.registry import mint
from vigilry_ingest.cli.events import events_group
from vigilry_ingest.storage.engine import make_engine

PARTITIONS = "3"
# What a hostile sender would like to do to an operator's terminal, and to the next line.
HOSTILE = "a\x1b[31mred\x1b]0;title\x07\x9b2Jb\r\nc\td\u2028e\u202ef\x7fg\x00h"


class Site:
    """A broker with several partitions, a service, and senders that are each a project of their own."""

    def __init__(self, valkey: Valkey, service: Service, database_url: str) -> None:
        self.valkey = valkey
        self.settings = {"REDIS_URL": valkey.url, "STREAM_PARTITIONS": PARTITIONS}
        # Enough of them that more than one partition is used.
        engine = make_engine(database_url)
        keys = [mint(engine, f"project {each}", "production").api_key for each in range(4)]
        engine.dispose()
        self.clients = [
            service.client(timeout=10.0, headers={"X-Api-Key": key, "Content-Type": "application/json"})
            for key in keys
        ]

    def post(self, message: str, sender: int = 0, **more: Any) -> str:
        """Post an event and return its jobId."""
        event = {"type": "tested", "severity": "INFO", "message": message} | more
        return self.post_text(json.dumps(event), sender)

    def post_text(self, body: str, sender: int = 0) -> str:
        """Post a body as it is and return its jobId."""
        answer = self.clients[sender].post("/ingest/events", content=body.encode())
        assert answer.status_code == 202, answer.text
        # Events of one millisecond have no order among partitions.
        time.sleep(0.002)
        job_id: str = answer.json()["jobId"]
        return job_id

    def tail(self, *options: str) -> Running:
        """Start ``flask events tail``."""
        return Running("events", "tail", *options, **self.settings)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    database_url = f"sqlite:///{tmp_path_factory.mktemp('site')}/vigilry.db"
    migrate(database_url)
    with Valkey() as valkey:
        settings = {
            "VIGILRY_REDIS_URL": valkey.url,
            "VIGILRY_DATABASE_URL": database_url,
            "VIGILRY_STREAM_PARTITIONS": PARTITIONS,
        }
        with Service(settings, worker_class="gevent") as service:
            site = Site(valkey, service, database_url)
            yield site
            for client in site.clients:
                client.close()


def test_the_newest_events_are_shown_oldest_first_and_then_each_new_one(site: Site) -> None:
    posted = [(site.post(f"number {each}", sender=each % 4), f"number {each}") for each in range(6)]
    with site.tail("-n", "4") as tail:
        for job_id, message in posted[2:]:
            line = tail.line()
            assert message in line
            assert line.endswith(job_id)
        for each in range(3):
            job_id = site.post(f"live {each}", sender=each, type="seen", severity="CRITICAL", source="here")
            line = tail.line(2)
            for shown in (f"live {each}", "seen", "CRITICAL", "here", "event", job_id):
                assert shown in line
            assert "\x1b" not in line, "there is no terminal to colour"
        assert tail.is_silent(0.5)


def test_ten_events_are_shown_when_no_number_is_given(site: Site) -> None:
    for each in range(12):
        site.post(f"of twelve: {each}.", sender=each % 4)
    with site.tail() as tail:
        assert [f"of twelve: {each}." in tail.line() for each in range(2, 12)] == [True] * 10
        assert tail.is_silent(0.5)


def test_with_number_zero_only_new_events_are_shown(site: Site) -> None:
    site.post("of old")
    with site.tail("-n", "0") as tail:
        # It does not say when it has begun to look.
        posted: list[str] = []
        shown: str | None = None
        while shown is None:
            assert len(posted) < 50
            posted.append(site.post("of now"))
            with suppress(Empty):
                shown = tail.line(0.3)
    assert shown.endswith(tuple(posted))


def test_json_lines_hold_every_field_and_the_payload_as_it_was_sent(site: Site) -> None:
    payload = """{"integer": 123456789012345678901234567890, "zero": -0.0, "big": 1e400,
        "long": 0.1000000000000000055511151231257827021181583404541015625, "cent": 1.10,
        "text": "Zoë \\u2028 \\" \\\\n 😀 \u2028 \\ud83d\\ude00",\r\n
        "nested": [{}, [], [null, true]], "": ""}"""
    job_id = site.post_text(
        '{"type": "sent", "severity": "WARN", "message": "line\\nbreak", "source": "here",'
        f'\n "correlation": {{"user": "u\\n1"}},\n "payload": {payload} }}'
    )
    with site.tail("--json", "-n", "1") as tail:
        line = tail.line()
    shown = json.loads(line, parse_float=Decimal)
    assert repr(shown["payload"]) == repr(json.loads(payload, parse_float=Decimal))
    assert shown["correlation"] == {"user": "u\n1"}
    assert shown["jobId"] == job_id
    own = {"jobId", "id", "project_id", "environment", "received_at", "request_id", "correlation", "payload"}
    assert {name: value for name, value in shown.items() if name not in own} == {
        "kind": "event",
        "type": "sent",
        "severity": "WARN",
        "source": "here",
        "message": "line\nbreak",
    }
    assert own <= shown.keys()


def test_json_lines_come_live_and_one_for_each_event_whatever_it_holds(site: Site) -> None:
    site.post("first")
    with site.tail("--json", "-n", "1") as tail:
        assert json.loads(tail.line())["message"] == "first"
        for message in (HOSTILE, "last"):
            site.post(message, payload={"hostile": HOSTILE})
            shown = json.loads(tail.line(2))
            assert (shown["message"], shown["payload"]) == (message, {"hostile": HOSTILE})


def test_no_control_character_of_a_sender_reaches_the_output(site: Site) -> None:
    site.post(HOSTILE, type=HOSTILE, source=HOSTILE)
    job_id = site.post("harmless")
    with site.tail("-n", "2") as tail:
        line = tail.line()
        assert line.isprintable(), ascii(line)
        # What can be shown of it is shown.
        assert line.count("red") == 3
        assert tail.line().endswith(job_id)


def test_on_a_terminal_nothing_but_our_own_colours_reaches_it(site: Site) -> None:
    site.post(HOSTILE, type=HOSTILE, source=HOSTILE, severity="ERROR")
    ours, theirs = pty.openpty()
    tail = subprocess.Popen(
        command("events", "tail", "-n", "1"),
        cwd=ROOT,
        env=environment(**site.settings) | {"TERM": "xterm"},
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    with closing(os.fdopen(ours, "rb", buffering=0)) as terminal:
        shown = b""
        while b"\n" not in shown:
            shown += terminal.read(4096)
        tail.kill()
        tail.wait(10)
    line, end = shown.decode().split("\r\n", 1)
    assert end == ""
    assert "\x1b[" in line, "there is a terminal to colour"
    assert "\x1b[31mred" not in line
    assert re.sub(r"\x1b\[[0-9;]*m", "", line).isprintable(), ascii(line)


def test_entries_that_are_not_ours_are_passed_over(site: Site) -> None:
    key = "vigilry:{0}:events"
    site.post("before")
    site.valkey.ask("XADD", key, "*", "foreign", "entry")
    site.valkey.ask("XADD", key, "*", "v", "2", "message", "of a later version")
    job_id = site.post("after")
    with site.tail("-n", "1") as tail:
        assert tail.line().endswith(job_id)
        site.valkey.ask("XADD", key, "*", "foreign", "entry")
        job_id = site.post("later")
        assert tail.line(2).endswith(job_id)


def test_ctrl_c_ends_it_quietly(site: Site) -> None:
    site.post("shown")
    with site.tail("-n", "1") as tail:
        tail.line()
        tail.interrupt()
        code, rest, errors = tail.wait(5)
    assert "Traceback" not in errors
    assert rest.strip() == ""
    # 1 would say that something is wrong.
    assert code in (0, 130, -signal.SIGINT), errors


def test_a_reader_that_goes_away_ends_it_quietly_with_the_next_event(site: Site) -> None:
    site.post("shown")
    with subprocess.Popen(
        command("events", "tail", "-n", "1"),
        cwd=ROOT,
        env=environment(**site.settings),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as tail:
        assert tail.stdout
        assert tail.stderr
        assert b"shown" in tail.stdout.readline()
        tail.stdout.close()
        site.post("seen by nobody")
        tail.wait(5)
        assert tail.stderr.read() == b""


@pytest.mark.parametrize("form", ["refused port", "missing socket", "frozen server", "wrong password"])
def test_an_unreachable_broker_is_told_in_one_line_without_its_password(tmp_path: Path, form: str) -> None:
    if form == "frozen server":
        with Valkey() as valkey:
            valkey.freeze()
            failure_of("events", "tail", REDIS_URL=valkey.url, PUBLISH_TIMEOUT_MS="200")
            return
    if form == "wrong password":
        with Valkey(unix=False, tcp=True, requirepass="right") as valkey:
            url = valkey.tcp_url.replace("right", "hunter2")
            assert "hunter2" not in failure_of("events", "tail", REDIS_URL=url)
            return
    urls = {
        "refused port": "redis://:hunter2@127.0.0.1:1/0",
        "missing socket": f"unix://:hunter2@{tmp_path}/none.sock",
    }
    assert "hunter2" not in failure_of("events", "tail", REDIS_URL=urls[form])


def test_a_broker_that_dies_meanwhile_is_told_in_one_line() -> None:
    with Valkey(appendonly=False) as valkey:
        valkey.ask("XADD", "vigilry:{0}:events", "*", *ENTRY)
        with Running("events", "tail", REDIS_URL=valkey.url, PUBLISH_TIMEOUT_MS="300") as tail:
            assert "by hand" in tail.line()
            valkey.kill()
            the_one_line(*tail.wait(5))


ENTRY = [
    *("v", "1", "id", "evt_1", "project_id", "proj_1", "environment", "production", "kind", "event"),
    *("type", "made", "severity", "INFO", "message", "by hand", "received_at", "2026-01-01T00:00:00.000Z"),
    *("request_id", "req_1"),
]


def test_a_number_that_cannot_be_shown_is_refused_with_the_usage() -> None:
    assert_misuse("events", "tail", "-n", "-1")


def test_help_is_readable() -> None:
    assert_readable_help(events_group)
