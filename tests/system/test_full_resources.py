"""A full disk, no more connections or file descriptors: senders get 503 or wait, nothing accepted is lost.

A disk is full for one process: the system lets it write no file beyond a size (RLIMIT_FSIZE).
"""

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil  # type: ignore[import-untyped]  # psutil ships no types
import pytest
import redis
from sqlalchemy import Engine

from tests.fixtures.databases import dispose, migrate, new_database
from tests.fixtures.sender import Sender, an_example, assert_503, wait_accepted
from tests.fixtures.servers.gunicorn import Service
from tests.fixtures.servers.postgres import Postgres
from tests.fixtures.servers.valkey import Valkey
from tests.fixtures.servers.waiting import wait_until
from tests.fixtures.servers.worker import Worker
from tests.fixtures.stored_events import messages_of
from vigilry_ingest.api_keys.registry import mint
from vigilry_ingest.storage.engine import make_engine

pytestmark = pytest.mark.alone

# That of PostgreSQL's write-ahead log, which it cannot do without.
LARGEST_FILE = 16 * 1024 * 1024

# Those that a process has open from its start.
FEWEST_FILES = 8

# A server that does not ignore it is killed by the signal, which a full disk does not send.
IGNORING_THE_SIGNAL = ["env", "--ignore-signal=XFSZ"]


@contextmanager
def limited(pid: int, name: str, value: int) -> Iterator[None]:
    """Limit a resource of a running process: `fsize` or `nofile`, as prlimit calls them."""
    before = prlimit(pid, f"--{name}", "--output=SOFT", "--noheadings")
    prlimit(pid, f"--{name}={value}:")
    try:
        yield
    finally:
        # A process of PostgreSQL may have ended, with its limit.
        with suppress(psutil.NoSuchProcess):
            prlimit(pid, f"--{name}={before}:")


def prlimit(pid: int, *options: str) -> str:
    """Run prlimit as the user of a process, who alone may change its limits in a container."""
    process = psutil.Process(pid)
    return subprocess.run(
        ["prlimit", f"--pid={pid}", *options], check=True, stdout=subprocess.PIPE, text=True,
        user=process.uids().real, group=process.gids().real,
    ).stdout.strip()  # fmt: skip


class Stack:
    """A service with a worker on their own broker and database."""

    def __init__(self, stack: ExitStack, database_url: str, broker: Valkey) -> None:
        self.broker = broker
        settings: dict[str, str | int] = {
            "VIGILRY_REDIS_URL": broker.url,
            "VIGILRY_DATABASE_URL": database_url,
        }
        self.engine: Engine = make_engine(database_url)
        stack.callback(dispose, self.engine)
        self.minted = mint(self.engine, "shop", "production")
        self.service = stack.enter_context(Service(settings))
        self.worker = Worker(settings)
        stack.callback(self.worker.close)
        self.sender = stack.enter_context(closing(Sender(self.service, broker, self.minted)))
        self.accepted: list[str] = []

    def post(self, payload_bytes: int = 0) -> httpx.Response:
        """Post an event with a name of its own, and note it if it is accepted."""
        name = f"{time.monotonic_ns()}"
        payload = {"noise": os.urandom(payload_bytes // 2).hex()}
        answer = self.sender.post("events", an_example(name) | {"payload": payload})
        if answer.status_code == 202:
            self.accepted.append(f"event {name}")
        return answer

    def wait_all_stored(self, within_s: float = 30.0) -> None:
        """Wait until what was accepted is stored, each once, and nothing else."""
        project = self.minted.project_id
        wait_until(
            lambda: len(messages_of(self.engine, project)) >= len(self.accepted),
            within_s, f"{len(self.accepted)} events are stored", log=self.worker.log_text,
        )  # fmt: skip
        assert messages_of(self.engine, project) == sorted(self.accepted)


@pytest.fixture
def broker() -> Iterator[Valkey]:
    """Run a broker with an append-only file, which a full disk does not kill."""
    server = Valkey()
    server.command = [*IGNORING_THE_SIGNAL, *server.command]
    with server:
        yield server


@pytest.fixture
def stack(broker: Valkey, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stack]:
    """Run everything on SQLite."""
    with ExitStack() as exits:
        yield Stack(exits, new_database("sqlite", request, tmp_path), broker)


def wait_refused(stack: Stack, *codes: str) -> None:
    """Post until the answer is a 503 with one of these codes."""
    answers = []

    def is_refused() -> bool:
        answers.append(stack.post())
        return answers[-1].status_code == 503

    wait_until(is_refused, 15, "an event is refused")
    assert_503(answers[-1], *codes)


@pytest.mark.one_database
def test_events_are_refused_while_the_disk_of_the_append_only_file_is_full_and_accepted_after(
    stack: Stack,
) -> None:
    for _ in range(20):
        assert stack.post().status_code == 202
    with limited(stack.broker.pid, "fsize", 4096):
        wait_refused(stack, "broker_cannot_persist")
        ready = stack.sender.http.get("/health/ready")
        assert ready.status_code == 503
        assert stack.service.alive
    wait_accepted(stack.post, 10)
    wait_until(lambda: stack.sender.http.get("/health/ready").status_code == 200, 10, "it is ready again")
    stack.worker.start()
    stack.wait_all_stored()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_events_wait_on_the_stream_while_the_disk_of_the_database_is_full(
    kind: str, broker: Valkey, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    with ExitStack() as exits:
        server: Postgres | None = None
        if kind == "postgresql":
            server = exits.enter_context(Postgres())
            url = server.new_database()
            migrate(url)
        else:
            url = new_database(kind, request, tmp_path)
        stack = Stack(exits, url, broker)
        assert stack.post().status_code == 202
        stack.worker.start()
        stack.wait_all_stored()
        full = server.pid if server is not None else stack.worker.pid
        with ExitStack() as limits:
            for pid in (full, *(child.pid for child in psutil.Process(full).children())):
                limits.enter_context(limited(pid, "fsize", LARGEST_FILE))
            for _ in range(150):
                assert stack.post(200_000).status_code == 202
            wait_until(lambda: "not available" in stack.worker.log_text(), 20, "the worker is refused")
            assert stack.worker.alive
        stack.wait_all_stored()


@pytest.mark.one_database
def test_events_are_refused_while_the_broker_takes_no_connection_and_accepted_after(stack: Stack) -> None:
    stack.worker.start()
    assert stack.post().status_code == 202
    with ExitStack() as idle, closing(stack.broker.client()) as operator:
        for _ in range(10):
            idle.enter_context(closing(socket.socket(socket.AF_UNIX))).connect(str(stack.broker.socket_path))
        others = {str(each["id"]) for each in clients(operator) if each["cmd"] != "NULL"}
        operator.config_set("maxclients", 10)
        for each in others - {str(operator.client_id())}:
            operator.client_kill_filter(_id=each)
        wait_refused(stack, "broker_unavailable", "broker_refused")
        assert stack.sender.http.get("/health/ready").status_code == 503
        operator.config_set("maxclients", 10_000)
        wait_accepted(stack.post, 10)
        stack.wait_all_stored()


def clients(operator: redis.Redis) -> Sequence[dict[str, str]]:
    """Return the connections of a broker; those that have sent nothing have the command NULL."""
    found: Any = operator.client_list()
    return list(found)


@pytest.mark.one_database
def test_senders_wait_while_the_service_has_no_file_descriptor_left_and_are_served_after(
    stack: Stack,
) -> None:
    stack.worker.start()
    assert stack.post().status_code == 202
    (pid,) = stack.service.worker_pids()
    with limited(pid, "nofile", FEWEST_FILES):
        # The connection that is open goes on; a new one waits in the backlog of the socket.
        assert stack.post().status_code == 202
        with stack.service.client(timeout=1.0) as late, pytest.raises(httpx.TransportError):
            late.get("/health/live")
        assert stack.post().status_code == 202
    with stack.service.client(timeout=10.0) as late:
        wait_until(lambda: late.get("/health/live").status_code == 200, 10, "it accepts connections again")
    assert stack.service.worker_pids() == [pid]
    stack.wait_all_stored()
