"""A broker that is absent, killed, frozen or slow costs a sender a 503 in time, and never an event."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple, Self
from uuid import uuid4

import httpx
import pytest

from tests.fixtures.servers.gunicorn import ROOT, Service
from tests.fixtures.servers.proxy import TcpProxy
from tests.fixtures.servers.valkey import Valkey
from tests.fixtures.servers.waiting import wait_until

pytestmark = pytest.mark.alone

PUBLISH_TIMEOUT_S = 0.25
LONGEST_S = PUBLISH_TIMEOUT_S + 0.5
BACK_WITHIN_S = 2.0
FAULT_S = 0.7
WORKERS = 2
# As many senders as are served at the same time, so that none waits for a free thread or process.
SENDERS = {"gevent": 20, "gthread": 20, "sync": 1}
# Where each refusal is instant, more of them may wait for a process.
MANY_SENDERS = {"gevent": 20, "gthread": 20, "sync": 8}
# So that the senders themselves do not use up a small machine.
PAUSE_S = 0.1
EVENT = {"type": "tested", "severity": "INFO", "message": "Is it stored?"}


def flask(*words: str, database_url: str) -> str:
    """Run a command of the product and return its output."""
    env = dict(os.environ) | {"VIGILRY_DATABASE_URL": database_url}
    command = [sys.executable, "-m", "flask", *words]
    return subprocess.run(command, cwd=ROOT, env=env, check=True, capture_output=True, text=True).stdout


class Answer(NamedTuple):
    """What became of one request; the moments are on the monotonic clock."""

    request_id: str
    began: float
    ended: float
    http: httpx.Response

    @property
    def is_stored(self) -> bool:
        """Return whether the sender got a 202."""
        return self.http.status_code == 202


class Senders:
    """Senders that post one event after the other, each on a connection of its own, until stopped."""

    def __init__(self, service: Service, api_key: str, count: int) -> None:
        self._service = service
        self._api_key = api_key
        self._count = count
        self._end = threading.Event()
        self.answers: list[Answer] = []
        self.errors: list[Exception] = []

    def __enter__(self) -> Self:
        self._pool = ThreadPoolExecutor(self._count)
        for _ in range(self._count):
            self._pool.submit(self._send)
        return self

    def __exit__(self, *_error: object) -> None:
        self._end.set()
        self._pool.shutdown()

    def _send(self) -> None:
        with self._service.client(timeout=20.0, headers={"X-Api-Key": self._api_key}) as client:
            while not self._end.is_set():
                try:
                    self.answers.append(post(client))
                except Exception as error:
                    self.errors.append(error)
                time.sleep(PAUSE_S)

    def answers_since(self, moment: float) -> list[Answer]:
        """Return the answers to what was sent after a moment."""
        return [answer for answer in list(self.answers) if answer.began >= moment]

    def wait_stored(self, since: float) -> float:
        """Wait until each sender could have had a 202 to what it sent later; return when the first came."""
        while time.monotonic() < since + BACK_WITHIN_S + LONGEST_S:
            stored = [answer.ended for answer in self.answers_since(since) if answer.is_stored]
            if len(stored) >= self._count:
                return min(stored)
            time.sleep(0.01)
        raise AssertionError(f"no 202 within {time.monotonic() - since:.1f} s after the broker is back")


def post(client: httpx.Client) -> Answer:
    """Post one event under a request id of its own."""
    request_id = uuid4().hex
    began = time.monotonic()
    answer = client.post("/ingest/events", json=EVENT, headers={"X-Request-Id": request_id})
    return Answer(request_id, began, time.monotonic(), answer)


class Site:
    """A service that reaches its broker through a proxy, and the answers of its senders so far."""

    def __init__(
        self, valkey: Valkey, proxy: TcpProxy, service: Service, api_key: str, worker_class: str
    ) -> None:
        self.valkey = valkey
        self.proxy = proxy
        self.service = service
        self.api_key = api_key
        self.count, self.many = SENDERS[worker_class], MANY_SENDERS[worker_class]
        self.answers: list[Answer] = []

    @contextmanager
    def senders(self, count: int | None = None) -> Iterator[Senders]:
        """Let senders post for the length of a block, and check all answers."""
        pids = self.service.worker_pids()
        assert len(pids) == WORKERS
        with Senders(self.service, self.api_key, count or self.count) as senders:
            yield senders
        self.answers += senders.answers
        assert senders.errors == []
        for answer in senders.answers:
            assert_stored_or_refused(answer)
        assert self.service.worker_pids() == pids, "a worker was replaced"
        self.assert_none_is_lost_or_doubled()

    def assert_none_is_lost_or_doubled(self) -> None:
        """Check that each request that was answered 202 is on the stream, and none is there twice."""
        with self.valkey.client() as client:
            entries: Any = client.xrange("vigilry:{0}:events")
        standing = Counter(fields["request_id"] for _, fields in entries)
        lost = [
            answer.request_id
            for answer in self.answers
            if answer.is_stored and not standing[answer.request_id]
        ]
        assert lost == [], f"{len(lost)} events were answered 202 and are not there"
        assert [request_id for request_id, times in standing.items() if times > 1] == []


def assert_stored_or_refused(answer: Answer) -> None:
    """Check that an answer came in time, and is a 202 or a 503 that says when to try again."""
    took_s = answer.ended - answer.began
    assert took_s < LONGEST_S, f"{answer.http.status_code} took {took_s:.2f} s: {answer.http.text}"
    if answer.is_stored:
        assert answer.http.json()["status"] == "queued"
        return
    assert answer.http.status_code == 503, answer.http.text
    assert answer.http.headers["content-type"] == "application/problem+json"
    assert int(answer.http.headers["retry-after"]) >= 1
    problem = answer.http.json()
    assert problem["retryable"] is True
    assert problem["code"] in {"broker_unavailable", "broker_timeout", "broker_loading"}, problem
    assert problem["requestId"] == answer.request_id


@pytest.fixture(scope="module")
def database_url_of_system(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a migrated SQLite database."""
    url = f"sqlite:///{tmp_path_factory.mktemp('system')}/vigilry.db"
    flask("db", "upgrade", database_url=url)
    return url


@pytest.fixture(scope="module")
def api_key(database_url_of_system: str) -> str:
    """Return a key that the command line has minted."""
    out = flask("keys", "mint", "system", "--json", database_url=database_url_of_system)
    key: str = json.loads(out)["api_key"]
    return key


def service_of(database_url: str, redis_url: str, worker_class: str) -> Service:
    """Describe a service with as many threads as there are senders."""
    settings: dict[str, str | int] = {
        "VIGILRY_REDIS_URL": redis_url,
        "VIGILRY_DATABASE_URL": database_url,
        "VIGILRY_PUBLISH_TIMEOUT_MS": int(PUBLISH_TIMEOUT_S * 1000),
    }
    if worker_class == "gthread":
        settings["GUNICORN_CMD_ARGS"] = f"--threads {SENDERS[worker_class]}"
    return Service(settings, workers=WORKERS, worker_class=worker_class)


@pytest.fixture(scope="module", params=SENDERS)
def brokerless(request: pytest.FixtureRequest, database_url_of_system: str, api_key: str) -> Iterator[Site]:
    """Run a service behind a proxy, for a broker that was never started, once for each worker class."""
    valkey = Valkey(unix=False, tcp=True)
    try:
        with TcpProxy(valkey.address) as proxy:
            proxy.cut()
            url = f"redis://{proxy.host}:{proxy.port}/0"
            with service_of(database_url_of_system, url, request.param) as service:
                yield Site(valkey, proxy, service, api_key, request.param)
    finally:
        valkey.close()


@pytest.fixture
def site(brokerless: Site) -> Site:
    """Return the service with its broker reachable, whatever the test before has left."""
    if brokerless.valkey.frozen:
        brokerless.valkey.thaw()
    if not brokerless.valkey.alive:
        brokerless.valkey.start()
    brokerless.proxy.heal()
    return brokerless


class Dripping:
    """A server whose answers come a byte at a time, too slowly to end, but always sooner than a time-out.

    Without an upstream no answer ever ends. With one, the first reply on each connection, which is the
    handshake's, comes whole, and those to events drip.
    """

    def __init__(self, address: tuple[str, int], upstream: tuple[str, int] | None = None) -> None:
        self._address = address
        self._upstream = upstream
        self._end = threading.Event()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._listener = socket.create_server(self._address)
        self._listener.settimeout(0.05)
        self._start(self._accept)
        return self

    def __exit__(self, *_error: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join(5)
        self._listener.close()

    def _start(self, run: Callable[..., None], *args: object) -> None:
        self._threads.append(threading.Thread(target=run, args=args, daemon=True))
        self._threads[-1].start()

    def _accept(self) -> None:
        while not self._end.is_set():
            with suppress(TimeoutError):
                self._start(self._serve, self._listener.accept()[0])

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            if self._upstream is None:
                self._drip(client, b"+" + b"x" * 100_000)
                return
            with socket.create_connection(self._upstream) as server:
                self._start(self._pass_on, client, server)
                client.sendall(server.recv(65536))
                while replies := server.recv(65536):
                    self._drip(client, replies)

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while requests := client.recv(65536):
                server.sendall(requests)
            server.shutdown(socket.SHUT_RDWR)

    def _drip(self, client: socket.socket, replies: bytes) -> None:
        for each in replies:
            if self._end.wait(0.08):
                raise ConnectionAbortedError
            client.sendall(bytes([each]))


@contextmanager
def killed(site: Site) -> Iterator[None]:
    """Kill the broker, and start it again."""
    site.valkey.kill()
    site.proxy.cut()
    yield
    site.valkey.start()
    site.proxy.heal()


@contextmanager
def frozen(site: Site) -> Iterator[None]:
    """Halt the broker, which goes on accepting, and let it go on."""
    site.valkey.freeze()
    yield
    site.valkey.thaw()


@contextmanager
def stalled(site: Site) -> Iterator[None]:
    """Hold all bytes on their way."""
    site.proxy.stall()
    yield
    site.proxy.heal()


@contextmanager
def unheard(site: Site) -> Iterator[None]:
    """Let requests through and drop the replies: what the broker stores, nobody hears of."""
    site.proxy.swallow_replies()
    yield
    site.proxy.heal()


@contextmanager
def dripping(site: Site) -> Iterator[None]:
    """Put a server in the broker's place that never comes to an end of its answer."""
    site.proxy.cut()
    with Dripping(site.proxy.address):
        yield
        # So much longer that waiting for the end of an answer is noticed.
        time.sleep(LONGEST_S)
    site.proxy.heal()


@contextmanager
def dripping_replies(site: Site) -> Iterator[None]:
    """Store what comes, and drip the replies."""
    site.proxy.cut()
    with Dripping(site.proxy.address, site.valkey.address):
        yield
        time.sleep(LONGEST_S)
    site.proxy.heal()


def test_a_service_starts_without_its_broker_refuses_in_time_and_accepts_once_it_is_there(
    brokerless: Site,
) -> None:
    assert not brokerless.valkey.log_text(), "this must be the first test of the service"
    with brokerless.senders(brokerless.many) as senders:
        wait_until(lambda: len(senders.answers) >= 2 * brokerless.many, 10, "each sender had an answer")
        before = list(senders.answers)
        brokerless.valkey.start()
        brokerless.proxy.heal()
        back = time.monotonic()
        first = senders.wait_stored(back)
    assert first - back < BACK_WITHIN_S
    assert {answer.http.status_code for answer in before} == {503}
    assert {answer.http.json()["code"] for answer in before} == {"broker_unavailable"}


@pytest.mark.parametrize("fault", [killed, frozen, stalled, unheard, dripping, dripping_replies])
def test_every_answer_is_a_503_in_time_until_the_broker_is_back_and_nothing_is_lost_or_doubled(
    site: Site, fault: Callable[[Site], Any]
) -> None:
    # A broker that is gone is noticed at once, so that many senders may wait for one process.
    with site.senders(site.many if fault is killed else site.count) as senders:
        senders.wait_stored(time.monotonic())
        with fault(site):
            began = time.monotonic()
            time.sleep(FAULT_S)
            wait_until(lambda: len(senders.answers_since(began)) >= site.count, 5, "each had an answer")
            refused = senders.answers_since(began)
        back = time.monotonic()
        first = senders.wait_stored(back)
    assert first - back < BACK_WITHIN_S
    assert {answer.http.status_code for answer in refused} == {503}


def test_a_broker_that_is_slow_but_answers_costs_no_event_and_no_time(site: Site) -> None:
    with site.senders() as senders:
        senders.wait_stored(time.monotonic())
        # Half of the time for one exchange, so that a second one does not always end in time.
        site.proxy.delay(PUBLISH_TIMEOUT_S * 0.25)
        time.sleep(FAULT_S / 2)
        site.proxy.heal()
        senders.wait_stored(time.monotonic())


def test_a_broker_restarted_in_a_quiet_moment_costs_no_sender_a_503(site: Site) -> None:
    # Every worker has left behind what an earlier fault may have kept on its way.
    site.service.wait_for(lambda: refusals_on_new_connections(site) == [], "no sender is refused")
    time.sleep(0.8)
    site.valkey.restart()
    time.sleep(0.3)
    assert refusals_on_new_connections(site) == []


def refusals_on_new_connections(site: Site) -> list[str]:
    """Post twenty events, each on a connection of its own, so that every worker gets some."""

    def one(_: int) -> Answer:
        with site.service.client(timeout=20.0, headers={"X-Api-Key": site.api_key}) as client:
            return post(client)

    with ThreadPoolExecutor(4) as pool:
        return [answer.http.text for answer in pool.map(one, range(20)) if not answer.is_stored]
