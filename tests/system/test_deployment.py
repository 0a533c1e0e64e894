"""The deployment: an event of each kind from TLS to the table, and what becomes of bad and slow senders."""

import json
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.fixtures.deployment import Deployment
from tests.fixtures.load import Load
from tests.fixtures.servers.postgres import Postgres
from tests.fixtures.servers.waiting import wait_until

MIB = 1 << 20
# It has a real key's form, and opens nothing.
WRONG_KEY = "vig_live_" + "0" * 36

EVENTS: dict[str, dict[str, Any]] = {
    "events": {
        "type": "walk",
        "severity": "INFO",
        "message": "from TLS to the table",
        "payload": {"n": 1.10},
    },
    "server-error": {"status_code": 500, "path": "/api", "method": "POST", "error_message": "it broke"},
    "webhook": {"source": "github", "event": "push", "payload": {"ref": "refs/heads/main"}},
    "stripe": {"id": "evt_1", "type": "charge.failed", "data": {"object": {"failure_message": "no funds"}}},
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres) -> Iterator[Deployment]:
    with ExitStack() as stack:
        yield Deployment(stack, tmp_path_factory.mktemp("site"), postgres)


@pytest.fixture(scope="module")
def client(site: Deployment) -> Iterator[httpx.Client]:
    with site.nginx.client(timeout=20) as client:
        yield client


def test_an_event_of_each_kind_walks_from_tls_to_the_table(site: Deployment, client: httpx.Client) -> None:
    jobs = {}
    for endpoint, body in EVENTS.items():
        answer = client.post(f"/ingest/{endpoint}", json=body, headers=site.key)
        assert answer.status_code == 202, answer.text
        jobs[endpoint] = answer.json()["jobId"]
    numbers = {endpoint: int(job.removeprefix("bull-")) for endpoint, job in jobs.items()}
    wait_until(lambda: site.stored().keys() >= set(numbers.values()), 20, "all are in the table")
    kinds = {endpoint: site.stored()[number][0] for endpoint, number in numbers.items()}
    assert kinds == {
        "events": "event",
        "server-error": "server_error",
        "webhook": "webhook",
        "stripe": "stripe",
    }
    for job in jobs.values():
        assert client.get(f"/ingest/jobs/{job}", headers=site.key).json()["status"] == "processed"


def refusals() -> Iterable[tuple[str, str, dict[str, Any], int]]:
    """List requests that the application refuses: a name, the path, httpx's options, and the status."""
    event = json.dumps(EVENTS["events"]).encode()
    yield "missing_api_key", "/ingest/events", {"content": event, "headers": {"X-Api-Key": ""}}, 401
    yield "invalid_api_key", "/ingest/events", {"content": event, "headers": {"X-Api-Key": WRONG_KEY}}, 401
    yield "malformed_json", "/ingest/events", {"content": b"{"}, 400
    yield "invalid_event", "/ingest/stripe", {"content": b"{}"}, 400
    yield (
        "invalid_idempotency_key",
        "/ingest/events",
        {"content": event, "headers": {"Idempotency-Key": "é".encode()}},
        400,
    )
    yield "not_found", "/ingest/nothing", {"content": event}, 404
    yield "method_not_allowed", "/ingest/events", {"method": "PUT", "content": event}, 405
    yield "body_too_large", "/ingest/events", {"content": b"x" * (MIB + 1)}, 413
    yield "body_too_large", "/ingest/events", {"content": b"x" * (4 * MIB)}, 413
    yield "unsupported_media_type", "/ingest/events", {"headers": {"Content-Type": "text/plain"}}, 415
    yield "unsupported_encoding", "/ingest/events", {"headers": {"Content-Encoding": "br"}}, 415


@pytest.mark.parametrize(("code", "path", "options", "status"), list(refusals()))
def test_a_refusal_through_nginx_is_the_applications_own(
    site: Deployment, client: httpx.Client, code: str, path: str, options: dict[str, Any], status: int
) -> None:
    request = {"method": "POST", "content": b"{}"} | options
    request["headers"] = site.key | {"X-Request-Id": "the-same"} | options.get("headers", {})
    with site.web.client() as direct:
        expected = direct.request(url=path, **request)
    answer = client.request(url=path, **request)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert (answer.status_code, answer.json()) == (expected.status_code, expected.json())
    for name in ("content-type", "x-request-id", "www-authenticate", "allow"):
        assert answer.headers.get(name) == expected.headers.get(name)


def test_a_body_in_chunks_that_is_too_large_is_refused_by_the_application(
    site: Deployment, client: httpx.Client
) -> None:
    answer = client.post("/ingest/events", content=iter([b"x" * MIB, b"x"]), headers=site.key)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert "VIGILRY_MAX_BODY_BYTES" in answer.json()["detail"]


def test_a_body_beyond_what_nginx_takes_is_refused_in_the_same_shape(
    site: Deployment, client: httpx.Client
) -> None:
    answer = client.post("/ingest/events?k=v", content=b"x" * (4 * MIB + 1), headers=site.key)
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, problem.pop("requestId")) == (413, answer.headers["x-request-id"])
    with site.web.client() as direct:
        own = direct.post("/ingest/events", content=b"x" * (MIB + 1), headers=site.key).json()
    assert problem.keys() == own.keys() - {"requestId"}
    assert {name: problem[name] for name in problem.keys() - {"detail"}} == {
        name: own[name] for name in problem.keys() - {"detail"}
    }


def raw(site: Deployment, *parts: bytes, pause_s: float = 0.0) -> bytes:
    """Send a POST in parts, with a pause after each, and return all that comes back until nginx closes."""
    address = urlsplit(site.nginx.url)
    with socket.create_connection((address.hostname, address.port), timeout=20) as connection:
        for part in parts:
            connection.sendall(part)
            time.sleep(pause_s)
        answer = b""
        while received := connection.recv(65536):
            answer += received
    return answer


def head(site: Deployment, length: int) -> bytes:
    """Write the head of a POST with a body of so many bytes."""
    return (
        "POST /ingest/events HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        f"X-Api-Key: {site.api_key}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


def test_a_slow_body_is_waited_for_and_answered_by_the_application(site: Deployment) -> None:
    event = json.dumps(EVENTS["events"]).encode()
    thirds = [event[:20], event[20:40], event[40:]]
    assert raw(site, head(site, len(event)), *thirds, pause_s=0.4).startswith(b"HTTP/1.1 202 ")
    answer = raw(site, head(site, 9), b"{", b'"a": 1', b"}}", pause_s=0.4)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "malformed_json"


def test_a_body_that_stalls_is_cut_off_and_nothing_is_published(site: Deployment) -> None:
    published = site.published()
    began = time.monotonic()
    assert raw(site, head(site, 1000), b'{"type":') == b""
    assert time.monotonic() - began < 5
    assert site.published() == published


@pytest.mark.alone
def test_two_hundred_senders_that_never_end_do_not_stop_the_others(site: Deployment) -> None:
    address = urlsplit(site.nginx.url)
    with ExitStack() as stack:
        for number in range(200):
            slow = stack.enter_context(socket.create_connection((address.hostname, address.port)))
            # Half of them never end their headers, and half their bodies.
            slow.sendall(head(site, 1000)[: -2 if number % 2 else None])
        with Load(site.nginx.url, site.api_key, connections=4, pause_s=0.005) as load:
            wait_until(lambda: len(load.sent) > 100, 10, "the others go on")
    assert load.outcomes().keys() == {202}
    assert max(sent.took_s for sent in load.sent) < 1.0
