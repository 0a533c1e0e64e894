"""The whole of it under load while its workers, its database and its broker fail: each event once."""

import json
import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import NamedTuple, Self

from sqlalchemy import create_engine, text

from tests.fixtures.servers.gunicorn import ROOT, Service
from tests.fixtures.servers.postgres import Postgres
from tests.fixtures.servers.valkey import NOT_READY, Valkey
from tests.fixtures.servers.waiting import wait_until
from tests.fixtures.servers.worker import Worker

PARTITIONS = 4
# Mints a key for each of so many projects, as `flask keys mint` does, in one process.
MINT = """
import sys
from wsgi import app
for number in range(int(sys.argv[1])):
    done = app.test_cli_runner().invoke(args=["keys", "mint", f"project {number}", "--json"])
    assert done.exit_code == 0, done.output
    print(done.stdout, end="")
"""

BODIES: dict[str, Callable[[str], dict[str, object]]] = {
    "events": lambda name: {
        "type": "checkout_failed",
        "severity": "ERROR",
        "message": name,
        "correlation": {"order_id": name},
        "payload": {"gateway": "stripe"},
    },
    "server-error": lambda name: {
        "status_code": 500,
        "path": "/api/orders",
        "method": "POST",
        "error_message": name,
        "stack": "TypeError: x\n  at f (/app/orders.js:42:15)",
    },
    "webhook": lambda name: {"source": name, "event": "push", "payload": {"ref": "refs/heads/main"}},
    "stripe": lambda name: {
        "id": name,
        "type": "charge.failed",
        "data": {"object": {"failure_message": name}},
    },
}


class Project(NamedTuple):
    """A project, and the key that it sends with."""

    project_id: str
    api_key: str


class Accepted(NamedTuple):
    """An accepted event: the sender's own name for it, and the jobId."""

    name: str
    job_id: str


class Stored(NamedTuple):
    """What stands in the database of an event."""

    event_id: str
    project_id: str
    job_number: int
    text: str


class Site:
    """A broker, a database and a service, with what the workers need to know."""

    def __init__(
        self, service: Service, valkey: Valkey, settings: dict[str, str | int], projects: int
    ) -> None:
        self.service = service
        self.valkey = valkey
        self.settings = settings
        self.projects = [Project(each["project_id"], each["api_key"]) for each in mint(settings, projects)]
        self._engine = create_engine(str(settings["VIGILRY_DATABASE_URL"]), pool_pre_ping=True)

    def worker(self) -> Worker:
        """Prepare a worker."""
        return Worker(self.settings)

    def stored(self) -> list[Stored]:
        """Read the stored events, by jobId."""
        query = text("SELECT id, project_id, job_number, message || payload FROM events ORDER BY job_number")
        with self._engine.connect() as connection:
            return [Stored(*row) for row in connection.execute(query)]

    def count(self) -> int:
        """Count the stored events."""
        with self._engine.connect() as connection:
            return int(connection.execute(text("SELECT count(*) FROM events")).scalar_one())

    def length(self, what: str = "events") -> int:
        """Count the entries of all streams, or the dead letters."""
        keys = (f"vigilry:{{{partition}}}:{what}" for partition in range(PARTITIONS))
        return sum(int(self.valkey.ask("XLEN", key)) for key in keys)

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()


def mint(settings: dict[str, str | int], projects: int) -> list[dict[str, str]]:
    """Make the tables, and a key for each of so many projects."""
    for words in (["-m", "flask", "db", "upgrade"], ["-c", MINT, str(projects)]):
        done = subprocess.run(
            [sys.executable, *words],
            cwd=ROOT,
            env=os.environ | {name: str(value) for name, value in settings.items()},
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    return [json.loads(line) for line in done.stdout.splitlines()]


@contextmanager
def open_site(valkey: Valkey, database_url: str, *, projects: int) -> Iterator[Site]:
    """Start the service on a broker and a database."""
    settings: dict[str, str | int] = {
        "VIGILRY_REDIS_URL": valkey.url,
        "VIGILRY_DATABASE_URL": database_url,
        "VIGILRY_STREAM_PARTITIONS": PARTITIONS,
    }
    with Service(settings, workers=1) as service:
        site = Site(service, valkey, settings, projects)
        yield site
        site.close()


class Sender(threading.Thread):
    """Sends its projects' events one after the other, on one connection that is kept alive.

    Ends after `each` events a project, or when it is stopped. What is refused is sent again as it is, with
    its Idempotency-Key.
    """

    def __init__(self, site: Site, projects: Sequence[Project], *, each: int | None = None) -> None:
        super().__init__(daemon=True)
        host, _, port = site.service.bind.rpartition(":")
        self._address = (host, int(port))
        self._projects = projects
        self._each = each
        self._ending = threading.Event()
        self.accepted: dict[str, list[Accepted]] = defaultdict(list)
        self.refused = 0
        self.error: Exception | None = None

    def end(self) -> None:
        """Let it end after the event in hand."""
        self._ending.set()

    def run(self) -> None:
        """Send."""
        try:
            with socket.create_connection(self._address, timeout=30.0) as connection:
                self._send_all(connection)
        except Exception as error:
            self.error = error

    def _send_all(self, connection: socket.socket) -> None:
        endpoints = list(BODIES)
        for number in count():
            if self._ending.is_set() or number == self._each:
                return
            for project in self._projects:
                # Not by number alone, so that each project uses every endpoint.
                endpoint = endpoints[number % len(endpoints)]
                name = f"{project.project_id} {number:06}."
                request = _request(endpoint, project.api_key, name)
                while (job_id := _exchange(connection, request)) is None:
                    self.refused += 1
                    self._ending.wait(0.05)
                self.accepted[project.project_id].append(Accepted(name, job_id))


def _request(endpoint: str, api_key: str, name: str) -> bytes:
    body = json.dumps(BODIES[endpoint](name))
    return (
        f"POST /ingest/{endpoint} HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n"
        f"X-Api-Key: {api_key}\r\nIdempotency-Key: {name}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def _exchange(connection: socket.socket, request: bytes) -> str | None:
    """Send a request and return the jobId, or None when it may be sent again."""
    connection.sendall(request)
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += _receive(connection)
    head, _, body = answer.partition(b"\r\n\r\n")
    length = next(
        int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")
    )
    while len(body) < length:
        body += _receive(connection)
    status = head[9:12]
    assert status in (b"202", b"503"), answer
    return str(json.loads(body)["jobId"]) if status == b"202" else None


def _receive(connection: socket.socket) -> bytes:
    received = connection.recv(65536)
    assert received, "the service has closed the connection"
    return received


class Load:
    """Several senders at once, as a context manager; their answers can be read when they have ended."""

    def __init__(self, site: Site, *, senders: int, each: int | None = None) -> None:
        self._senders = [Sender(site, site.projects[first::senders], each=each) for first in range(senders)]

    def __enter__(self) -> Self:
        for sender in self._senders:
            sender.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.end()

    @property
    def is_going_on(self) -> bool:
        """Return whether any sender still sends."""
        return any(sender.is_alive() for sender in self._senders)

    @property
    def refused(self) -> int:
        """Count the answers that were no 202."""
        return sum(sender.refused for sender in self._senders)

    @property
    def count(self) -> int:
        """Count the events that were accepted so far."""
        return sum(len(each) for each in self.accepted.values())

    @property
    def accepted(self) -> dict[str, list[Accepted]]:
        """Return what was accepted so far, by project, in the order in which it was sent."""
        return {
            project: list(accepted)
            for sender in self._senders
            for project, accepted in dict(sender.accepted).items()
        }

    def end(self) -> None:
        """End the senders after the event that each has in hand."""
        for sender in self._senders:
            sender.end()
        for sender in self._senders:
            sender.join(30.0)
            assert not sender.is_alive()
            assert sender.error is None, repr(sender.error)


class Killer(threading.Thread):
    """Kills one worker after the other (kill -9), one every so many seconds, and starts it again at once."""

    def __init__(self, workers: Sequence[Worker], every_s: float) -> None:
        super().__init__(daemon=True)
        self._workers = workers
        self._every_s = every_s
        self._ending = threading.Event()
        self.kills = 0
        self.error: Exception | None = None

    def run(self) -> None:
        """Kill, until it is ended."""
        try:
            while not self._ending.wait(self._every_s):
                worker = self._workers[self.kills % len(self._workers)]
                worker.kill()
                self.kills += 1
                worker.start()
        except Exception as error:
            self.error = error

    def end(self) -> None:
        """End it, with all workers running."""
        self._ending.set()
        self.join(30.0)
        assert self.error is None, repr(self.error)


def wait_stored(site: Site, expected: int, within_s: float) -> None:
    """Wait until so many events are stored, and nothing is left on the streams."""
    wait_until(
        lambda: site.count() >= expected and site.length() == 0,
        within_s,
        f"{expected} events are stored and their entries trimmed",
        log=lambda: f"{site.count()} are stored, {site.length()} entries and {site.length('dead')} dead left",
    )


def assert_each_stored_once_in_order(site: Site, load: Load) -> None:
    """Compare the senders' answers with the database."""
    accepted = load.accepted
    stored = site.stored()
    assert Counter(row.job_number for row in stored).most_common(1)[0][1] <= PARTITIONS
    assert len({row.event_id for row in stored}) == len(stored) == load.count
    by_project: dict[str, list[Stored]] = defaultdict(list)
    for row in stored:
        by_project[row.project_id].append(row)
    assert by_project.keys() == accepted.keys()
    for project, told in accepted.items():
        rows = by_project[project]
        assert [f"bull-{row.job_number}" for row in rows] == [each.job_id for each in told]
        assert all(each.name in row.text for row, each in zip(rows, told, strict=True))
    assert site.length("dead") == 0


def test_each_event_is_stored_once_and_in_order_while_workers_are_killed() -> None:
    with (
        Valkey() as valkey,
        Postgres() as postgres,
        open_site(valkey, postgres.new_database(), projects=50) as site,
        ExitStack() as stack,
    ):
        workers = [stack.enter_context(site.worker()) for _ in range(2)]
        killer = Killer(workers, every_s=2.0)
        killer.start()
        with Load(site, senders=10, each=400) as load:
            wait_until(lambda: not load.is_going_on, 120.0, "all is sent", log=lambda: str(load.count))
        wait_until(lambda: killer.kills >= 5, 15.0, "enough were killed")
        killer.end()
        assert load.count == 20_000
        wait_stored(site, load.count, within_s=60.0)
        assert_each_stored_once_in_order(site, load)
        assert_processed(site, load)


def assert_processed(site: Site, load: Load) -> None:
    """Ask the service for a sample of the jobs."""
    drawn = random.Random(7)  # noqa: S311  # nothing here is secret
    with site.service.client(timeout=10.0) as client:
        for project in drawn.sample(site.projects, 10):
            headers = {"X-Api-Key": project.api_key}
            for each in drawn.sample(load.accepted[project.project_id], 5):
                job = client.get(f"/ingest/jobs/{each.job_id}", headers=headers).json()
                assert (job["jobId"], job["status"]) == (each.job_id, "processed")


def test_a_database_that_is_down_for_ten_seconds_costs_no_event_and_no_worker() -> None:
    with (
        Valkey() as valkey,
        Postgres() as postgres,
        open_site(valkey, postgres.new_database(), projects=4) as site,
        site.worker() as worker,
        Load(site, senders=4) as load,
    ):
        wait_until(lambda: site.count() > 50, 15.0, "events are stored")
        postgres.stop()
        stopped_at = time.monotonic()
        sent = load.count
        wait_until(lambda: time.monotonic() - stopped_at > 10.0, 15.0, "ten seconds have gone by")
        assert load.count > sent, "known keys go on working"
        postgres.start()
        accepted = load.count
        # The worker waits for up to ten seconds between two looks at its database.
        wait_until(lambda: site.count() > accepted, 20.0, "what came after it is stored")
        load.end()
        wait_stored(site, load.count, within_s=30.0)
        assert worker.alive
        assert_each_stored_once_in_order(site, load)


def test_a_broker_that_is_flushed_and_restarted_is_used_again_by_the_same_worker(tmp_path: Path) -> None:
    with (
        Valkey(appendonly=False) as valkey,
        open_site(valkey, f"sqlite:///{tmp_path}/vigilry.db", projects=2) as site,
        site.worker() as worker,
        Load(site, senders=2) as load,
    ):
        wait_until(lambda: site.count() > 10, 15.0, "events are stored")
        pid = worker.pid
        valkey.ask("FLUSHALL")
        assert_goes_on(site, load)
        valkey.kill()
        valkey.start()
        assert_goes_on(site, load)
        load.end()
        wait_until(lambda: site.length() == 0, 15.0, "all is trimmed", ignoring=NOT_READY)
        assert (worker.alive, worker.pid) == (True, pid)
        assert site.length("dead") == 0
        stored = Counter(row.event_id for row in site.stored())
        assert set(stored.values()) == {1}


def assert_goes_on(site: Site, load: Load) -> None:
    """Wait until events are stored that were accepted from now on."""
    before = load.count
    wait_until(lambda: load.count > before + 20, 10.0, "events are accepted again")
    new = {each.job_id for told in load.accepted.values() for each in told[-5:]}
    wait_until(
        lambda: new <= {f"bull-{row.job_number}" for row in site.stored()},
        15.0,
        "new events are stored",
    )
