"""Senders that send a byte now and then, without nginx before the service."""

import select
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.fixtures.servers.gunicorn import Service
from tests.fixtures.servers.valkey import Valkey
from tests.fixtures.services import NewSender

pytestmark = pytest.mark.one_database

SENDERS = 2000
GONE_WITHIN_S = 35.0


@pytest.fixture
def two_workers(valkey: Valkey, database_url: str) -> Iterator[Service]:
    settings = {"VIGILRY_REDIS_URL": valkey.url, "VIGILRY_DATABASE_URL": database_url}
    with Service(settings, workers=2, worker_class="gevent") as running:
        yield running


class SlowSenders:
    """Connections that each send a byte a second: half of them of a head, half of a body with a key."""

    def __init__(self, service: Service, api_key: str, count: int) -> None:
        host, _, port = service.bind.partition(":")
        self._address = host, int(port)
        head = b"POST /ingest/events HTTP/1.1\r\nHost: a\r\n"
        keyed = head + f"X-Api-Key: {api_key}\r\nContent-Type: application/json\r\n".encode()
        self._begin = [b"", keyed + b"Content-Length: 1000\r\n\r\n"]
        self._rest = [head * 10, b'{"type":"slow"' + b" " * 900]
        self._open: dict[socket.socket, int] = {}
        self._count = count
        self._began = 0.0
        self._stopped = threading.Event()
        self.ended_after_s = 0.0

    def run(self) -> None:
        """Connect, and send until the service has closed every connection."""
        self._began = time.monotonic()
        for number in range(self._count):
            connection = socket.create_connection(self._address, timeout=10)
            connection.sendall(self._begin[number % 2])
            connection.setblocking(False)
            self._open[connection] = number % 2
        position = 0
        while self._open and not self._stopped.is_set():
            for connection, kind in list(self._open.items()):
                try:
                    connection.send(self._rest[kind][position : position + 1])
                except OSError:
                    self._close(connection)
            position += 1
            self._close_ended()
            self._stopped.wait(1.0)
        self.ended_after_s = time.monotonic() - self._began

    def _close_ended(self) -> None:
        poll = select.poll()
        by_number = {connection.fileno(): connection for connection in self._open}
        for number in by_number:
            poll.register(number, select.POLLIN)
        for number, _ in poll.poll(0):
            try:
                if not by_number[number].recv(65536):
                    self._close(by_number[number])
            except BlockingIOError:
                pass
            except OSError:
                self._close(by_number[number])

    def _close(self, connection: socket.socket) -> None:
        connection.close()
        del self._open[connection]

    def stop(self) -> None:
        """Stop, and close what is open."""
        self._stopped.set()
        for connection in self._open:
            connection.close()

    def count(self) -> int:
        """Return how many connections are open."""
        return len(self._open)


def test_thousands_of_senders_of_a_byte_a_second_hold_nobody_back_and_are_closed(
    two_workers: Service, new_sender: NewSender
) -> None:
    key = new_sender().minted.api_key
    event = {"type": "beside", "severity": "INFO", "message": "an ordinary event"}
    slow = SlowSenders(two_workers, key, SENDERS)
    thread = threading.Thread(target=slow.run)
    thread.start()
    try:
        seconds: list[float] = []
        while thread.is_alive() and time.monotonic() < slow._began + GONE_WITHIN_S + 10:
            # A new connection each time: these are what too many open ones would keep out.
            with two_workers.client(timeout=5.0) as client:
                began = time.monotonic()
                answer = client.post("/ingest/events", json=event, headers={"X-Api-Key": key})
                seconds.append(time.monotonic() - began)
            assert answer.status_code == 202
            time.sleep(0.05)
        assert slow.count() == 0
    finally:
        slow.stop()
        thread.join()
    assert len(seconds) > 100
    assert sorted(seconds)[int(len(seconds) * 0.99)] < 0.5
    assert slow.ended_after_s < GONE_WITHIN_S + 2.0
