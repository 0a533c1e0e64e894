"""gunicorn's workers as the product configures them, on an application that fails."""

import socket
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.fixtures.servers.gunicorn import Service

GEVENT = "gevent"


@pytest.fixture(scope="module", params=["gevent", "gthread", "sync"])
def service(request: pytest.FixtureRequest) -> Iterator[Service]:
    with Service({}, worker_class=request.param, app="tests.fixtures.servers.failing:app") as running:
        yield running


@pytest.fixture(scope="module")
def gevent_service() -> Iterator[Service]:
    with Service({}, worker_class=GEVENT, app="tests.fixtures.servers.failing:app") as running:
        yield running


def connect(service: Service) -> socket.socket:
    host, _, port = service.bind.partition(":")
    return socket.create_connection((host, int(port)), timeout=10)


def exchange(service: Service, request: bytes) -> bytes:
    """Send bytes, and return everything until the service closes the connection."""
    with connect(service) as connection:
        connection.sendall(request)
        received = b""
        while part := connection.recv(65536):
            received += part
        return received


def get(path: str, *lines: str, version: str = "1.1") -> bytes:
    return "\r\n".join((f"GET {path} HTTP/{version}", "Host: a", *lines, "", "")).encode()


@pytest.mark.parametrize(
    "request_",
    [
        b"GET / HTTP/1.0\r\n\r\n",
        get("/", "Connection: close"),
        b"GET / HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n",
    ],
)
def test_host_may_be_empty_and_is_not_required_by_http_1_0(service: Service, request_: bytes) -> None:
    assert exchange(service, request_).split(b" ")[1] == b"200"


@pytest.mark.parametrize("path", ["/midway", "/chunked-midway", "/raise", "/split-header"])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_an_application_that_fails_is_answered_once_and_the_connection_is_closed(
    service: Service, path: str, version: str
) -> None:
    received = exchange(service, get(path, version=version))
    assert received.count(b"HTTP/1.") == 1
    assert b"X-Injected" not in received
    assert b"the body failed" not in received
    assert b"the application failed" not in received
    # The next one is served as ever.
    assert exchange(service, get("/", "Connection: close")).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize("path", ["/midway", "/chunked-midway", "/raise", "/split-header"])
def test_a_plain_request_whose_application_fails_is_answered_500_in_the_problem_shape(
    gevent_service: Service, path: str
) -> None:
    received = exchange(gevent_service, get(path))
    assert received.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert b"application/problem+json" in received
    assert b'"internal_error"' in received


def test_responses_are_whole_and_framed_in_the_short_way(gevent_service: Service) -> None:
    received = exchange(gevent_service, get("/parts") + get("/empty") + get("/", "Connection: close"))
    first, second, third = (b"HTTP/1.1 " + part for part in received.split(b"HTTP/1.1 ")[1:])
    assert first.startswith(b"HTTP/1.1 200 OK\r\nServer: gunicorn\r\nDate: ")
    assert first.endswith(b"\r\nContent-Length: 8\r\n\r\none, two")
    assert second.startswith(b"HTTP/1.1 304 Not Modified\r\n")
    assert b"Content-Length" not in second
    assert second.endswith(b'ETag: "x"\r\n\r\n')
    assert b"Connection: keep-alive\r\n" in second
    assert b"Connection: close\r\n" in third


def test_pipelined_requests_are_answered_in_order_whatever_way_each_takes(gevent_service: Service) -> None:
    plain = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b"
    chunked = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n"
    requests = b"".join(
        (plain if number % 2 else chunked) % (number, b"x" * number) for number in range(1, 40)
    )
    received = exchange(gevent_service, requests + get("/", "Connection: close"))
    bodies = [part.partition(b"\r\n\r\n")[2] for part in received.split(b"HTTP/1.1 200 OK")[1:]]
    # gunicorn frames what it writes in chunks, and the short way by length.
    lengths = [int(body.split(b"\r\n")[1] if b"\r\n" in body else body) for body in bodies]
    assert lengths == [*range(1, 40), 0]


def test_a_body_that_ends_early_reaches_the_application_short_and_is_the_last(
    gevent_service: Service,
) -> None:
    with connect(gevent_service) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf")
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while part := connection.recv(65536):
            received += part
    assert received.endswith(b"\r\n\r\n4")
    assert b"Connection: close\r\n" in received


def test_a_response_that_needs_no_body_is_sent_before_the_body_has_come(gevent_service: Service) -> None:
    with connect(gevent_service) as connection:
        for number in range(3):
            connection.sendall(b"POST /empty HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf")
            assert connection.recv(65536).startswith(b"HTTP/1.1 304 Not Modified\r\n"), number
            connection.sendall(b" whole")


def test_a_body_in_pieces_is_received_as_the_application_reads_it(gevent_service: Service) -> None:
    with connect(gevent_service) as connection:
        for size in (1, 10, 8191, 8192, 8193, 65_536):
            connection.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
            time.sleep(0.02)
            connection.sendall(b"x" * (size // 2))
            time.sleep(0.02)
            connection.sendall(b"x" * (size - size // 2))
            assert connection.recv(65536).endswith(b"\r\n\r\n%d" % size)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nHost: a\n\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nX-Host: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET http://a/ HTTP/1.1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", 400),
        (b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: a\r\n" * 200 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 9000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n", 417),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    ],
)
def test_what_is_not_http_is_refused_in_the_problem_shape_and_closed(
    service: Service, request_: bytes, status: int
) -> None:
    received = exchange(service, request_)
    assert received.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"application/problem+json" in received
    assert received.count(b"HTTP/1.1") == 1
    assert b"\r\nX-Content-Type-Options: nosniff\r\n" in received


def test_a_client_that_asks_before_it_sends_its_body_is_asked_to_continue(gevent_service: Service) -> None:
    with connect(gevent_service) as connection:
        head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"
        connection.sendall(head.encode())
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"body")
        assert b"200 OK" in connection.recv(65536)


def test_an_idle_connection_stays_open_and_serves_again(gevent_service: Service) -> None:
    with gevent_service.client() as client:
        assert client.get("/").text == "0"
        time.sleep(2.5)
        assert client.get("/").text == "0"
        assert client.post("/", content=b"x" * 200_000).text == "200000"
        assert client.get("/a%20b").status_code == httpx.codes.OK
