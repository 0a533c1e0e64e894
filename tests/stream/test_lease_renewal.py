"""The thread that renews a worker's leases: it never stops unnoticed."""

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Self

import pytest

from tests.fixtures.handlers import FOLDER, GO, read_notes
from tests.fixtures.publishing import an_event, publisher_on
from tests.fixtures.servers.valkey import Valkey
from tests.fixtures.servers.waiting import wait_until
from tests.fixtures.servers.worker import Worker
from vigilry_ingest.stream.redis_keys import DEFAULT_GROUP, lease_key, members_key

CHUNK_BYTES = 65_536


class RewritingProxy:
    """Relays connections to a broker and replaces some of its replies by others."""

    def __init__(self, broker: Valkey) -> None:
        self._broker = broker
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets = [self._listener]
        self._replaced: tuple[bytes, bytes] | None = None

    @property
    def url(self) -> str:
        """Return the URL to use in place of the broker's own."""
        return f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"

    def replace(self, reply: bytes, other: bytes) -> None:
        """Replace a reply by another from now on."""
        self._replaced = (reply, other)

    def heal(self) -> None:
        """Relay replies as they are."""
        self._replaced = None

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_error: object) -> None:
        for each in self._sockets:
            # Closing a socket does not wake a thread that waits on it.
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _start(self, target: Any, *arguments: Any) -> None:
        threading.Thread(target=target, args=arguments, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(str(self._broker.socket_path))
                self._sockets += (client, server)
                self._start(self._relay, client, server, False)
                self._start(self._relay, server, client, True)

    def _relay(self, source: socket.socket, sink: socket.socket, are_replies: bool) -> None:
        with suppress(OSError):
            while data := source.recv(CHUNK_BYTES):
                sink.sendall(data.replace(*self._replaced) if are_replies and self._replaced else data)
            sink.shutdown(socket.SHUT_WR)


@pytest.fixture
def broker() -> Iterator[Valkey]:
    """Run a broker of the test's own."""
    with Valkey(appendonly=False) as server:
        yield server


@pytest.fixture
def proxy(broker: Valkey) -> Iterator[RewritingProxy]:
    with RewritingProxy(broker) as proxy:
        yield proxy


@pytest.fixture
def worker(proxy: RewritingProxy, broker: Valkey, tmp_path: Path) -> Iterator[Worker]:
    """Run a worker that has the only partition."""
    settings = {
        "VIGILRY_REDIS_URL": proxy.url,
        "VIGILRY_DATABASE_URL": f"sqlite:///{tmp_path}/unused.db",
        FOLDER: str(tmp_path),
    }
    with Worker(settings, "--handler", "tests.fixtures.handlers:obey", "--lease-s", "1") as worker:
        wait_until(lambda: holder(broker), 5.0, "the worker has its partition", log=worker.log_text)
        yield worker


def holder(broker: Valkey) -> str | None:
    """Return the name of the worker that has the partition."""
    name: str | None = broker.ask("GET", lease_key(0, DEFAULT_GROUP))
    return name


def leave_out_of_members(proxy: RewritingProxy, broker: Valkey) -> None:
    """Answer the worker that its group has one member, which is another worker."""
    name = str(holder(broker)).encode()
    reply = b"*1\r\n$%d\r\n%b\r\n"
    proxy.replace(reply % (len(name), name), reply % (len(name), b"x" * len(name)))


def expire_leases(broker: Valkey) -> None:
    """Do now what the broker does when the lease of an ended worker expires."""
    broker.ask("DEL", lease_key(0, DEFAULT_GROUP), members_key(DEFAULT_GROUP))


def publish(broker: Valkey, message: str) -> None:
    with ExitStack() as stack:
        publisher = publisher_on(broker.url)
        stack.callback(publisher.close)
        publisher.publish(an_event("proj_1", message))


def is_in(notes: Path, step: str, message: str) -> bool:
    return message in [event["message"] for event in read_notes(notes, step)]


def test_a_worker_renews_its_leases_for_the_time_that_the_operator_chose(
    broker: Valkey, worker: Worker
) -> None:
    ends = set()

    def is_renewed() -> bool:
        ends.add(broker.ask("PEXPIRETIME", lease_key(0, DEFAULT_GROUP)))
        return len(ends) > 3

    wait_until(is_renewed, 5.0, "the lease is renewed three times")
    assert 0 < broker.ask("PTTL", lease_key(0, DEFAULT_GROUP)) <= 1000
    worker.kill()
    wait_until(lambda: holder(broker) is None, 2.0, "the lease has expired")


def test_an_unexpected_error_in_the_renewal_ends_the_idle_worker_so_that_it_is_restarted(
    proxy: RewritingProxy, broker: Valkey, worker: Worker, tmp_path: Path
) -> None:
    leave_out_of_members(proxy, broker)
    wait_until(lambda: not worker.alive, 5.0, "the worker has ended", log=worker.log_text)
    assert worker.wait_ended() == 1, worker.log_text()
    assert "lease renewal failed" in worker.log_text()
    assert "ValueError" in worker.log_text()
    proxy.heal()
    expire_leases(broker)
    publish(broker, "an event")
    worker.start()
    wait_until(lambda: is_in(tmp_path, "handled", "an event"), 10.0, "the event is handled")


def test_an_unexpected_error_in_the_renewal_ends_the_worker_while_its_handler_runs(
    proxy: RewritingProxy, broker: Valkey, worker: Worker, tmp_path: Path
) -> None:
    publish(broker, "wait for it")
    wait_until(lambda: is_in(tmp_path, "called", "wait for it"), 5.0, "the handler is called")
    leave_out_of_members(proxy, broker)
    wait_until(lambda: not worker.alive, 5.0, "the worker has ended", log=worker.log_text)
    assert worker.wait_ended() == 1, worker.log_text()
    assert "lease renewal failed" in worker.log_text()
    assert not is_in(tmp_path, "handled", "wait for it")
    proxy.heal()
    expire_leases(broker)
    (tmp_path / GO).touch()
    worker.start()
    wait_until(lambda: is_in(tmp_path, "handled", "wait for it"), 10.0, "the event is handled")
