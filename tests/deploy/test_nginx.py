"""nginx as deploy/nginx.conf sets it up, in front of a stand-in that reports what reached it."""

import gzip
import hashlib
import json
import os
import socket
import statistics
import subprocess
import time
from collections.abc import Iterator
from http.client import HTTPResponse
from urllib.parse import urlsplit

import httpx
import pytest

from tests.fixtures.load import Load
from tests.fixtures.servers.gunicorn import Service
from tests.fixtures.servers.nginx import Nginx
from tests.fixtures.servers.waiting import wait_until

# It has a real key's form; the stand-in asks for none.
KEY = "vig_live_" + "0" * 36
HOOK = "/hooks/src_01M83ZA4Y1VJ7G0M8WQ0D6ZK3N"


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with Service(app="tests.fixtures.servers.echo:app", bind="unix", config=None) as running:
        yield running


@pytest.fixture(scope="module")
def nginx(service: Service) -> Iterator[Nginx]:
    with Nginx(service.bind) as running:
        yield running


@pytest.fixture(scope="module")
def client(nginx: Nginx) -> Iterator[httpx.Client]:
    with nginx.client() as client:
        yield client


def test_what_a_sender_says_of_itself_is_replaced(client: httpx.Client) -> None:
    said = {"X-Forwarded-For": "1.2.3.4", "X-Forwarded-Proto": "gopher", "Forwarded": "for=1.2.3.4"}
    seen = client.get("/", headers=said).json()["headers"]
    assert seen["HTTP_X_FORWARDED_FOR"] == "127.0.0.1"
    assert seen["HTTP_X_FORWARDED_PROTO"] == "https"
    assert "HTTP_FORWARDED" not in seen


@pytest.mark.parametrize(
    ("sent", "is_kept"), [("req-1", True), ('"}{', False), ("a b", False), ("", False), ("x" * 129, False)]
)
def test_a_plain_request_id_of_the_sender_is_kept_and_any_other_is_made(
    client: httpx.Client, sent: str, is_kept: bool
) -> None:
    seen = client.get("/", headers={"X-Request-Id": sent}).json()["headers"]["HTTP_X_REQUEST_ID"]
    assert (seen == sent) is is_kept
    assert len(seen) > 4


def test_a_compressed_body_is_passed_on_as_it_is(client: httpx.Client) -> None:
    body = gzip.compress(os.urandom(200_000))
    seen = client.post("/", content=body, headers={"Content-Encoding": "gzip"}).json()
    assert (seen["bytes"], seen["sha256"]) == (len(body), hashlib.sha256(body).hexdigest())
    assert seen["headers"]["HTTP_CONTENT_ENCODING"] == "gzip"


def test_http_2_is_spoken_and_the_old_versions_of_tls_are_not(nginx: Nginx) -> None:
    def shake_hands(*options: str) -> str:
        address = nginx.tls_url.removeprefix("https://")
        command = ["openssl", "s_client", "-connect", address, "-CAfile", str(nginx.tls.ca), *options]
        done = subprocess.run(command, input=b"", capture_output=True, timeout=20, check=False)
        return done.stdout.decode(errors="replace")

    assert "ALPN protocol: h2" in shake_hands("-alpn", "h2")
    assert "Protocol  : TLSv1.2" in shake_hands("-tls1_2")
    assert "Cipher is (NONE)" in shake_hands("-tls1_1", "-cipher", "ALL:@SECLEVEL=0")


def test_the_access_log_is_json_and_has_no_key_in_it(nginx: Nginx, client: httpx.Client) -> None:
    headers = {"X-Api-Key": KEY, "X-Request-Id": "find-me", "User-Agent": '"quoted"'}
    client.post('/ingest/events?secret="', json={}, headers=headers)
    wait_until(lambda: "find-me" in nginx.access_log(), 10, "the request is in the log")
    lines = [json.loads(line) for line in nginx.access_log().splitlines()]
    line = next(line for line in lines if line["requestId"] == "find-me")
    assert (line["method"], line["path"], line["status"]) == ("POST", "/ingest/events", 200)
    assert line["upstreamStatus"] == "200"
    for secret in (KEY, "secret"):
        assert secret not in nginx.access_log()
    assert "nginx/" not in client.get("/health/live").headers["server"]


def test_what_cannot_be_a_key_is_limited_by_address_and_a_real_key_beside_it_is_not(
    nginx: Nginx, client: httpx.Client
) -> None:
    def both_went_on() -> bool:
        return flood.outcomes()[429] > 100 and real.outcomes()[200] > 100

    began = time.monotonic()
    with Load(nginx.url, "guess") as flood, Load(nginx.url, KEY) as real:
        wait_until(both_went_on, 10, "both went on")
        # One at a time would now and then be the one that the rate lets by.
        answers = [client.post("/ingest/events", json={}) for _ in range(20)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    for answer in refused:
        assert answer.headers["retry-after"] == "1"
        assert_problem(answer, "too_many_wrong_keys")
    assert flood.outcomes().keys() == {200, 429}
    # The burst, and what the rate lets by.
    assert flood.outcomes()[200] <= 21 + 10 * (time.monotonic() - began)
    assert real.outcomes().keys() == {200}


def test_the_pre_flights_of_browsers_need_no_key_and_are_not_limited(client: httpx.Client) -> None:
    answers = [client.options("/ingest/events", headers={"Origin": "https://a.example"}) for _ in range(60)]
    assert {answer.status_code for answer in answers} == {200}


def test_what_is_large_on_the_pages_is_compressed(client: httpx.Client) -> None:
    for path, coding in (("/docs/assets/script.js", "gzip"), ("/ingest/jobs/bull-1", None)):
        answer = client.get(path, headers={"Accept-Encoding": "gzip", "X-Api-Key": KEY})
        assert answer.headers.get("content-encoding") == coding


@pytest.mark.alone
def test_a_wrong_key_is_slowed_down_and_a_real_key_is_not(client: httpx.Client) -> None:
    def took_s(status: int) -> float:
        began = time.monotonic()
        answer = client.post("/ingest/events", json={}, headers={"X-Api-Key": KEY, "X-Answer": str(status)})
        assert answer.status_code == status
        return time.monotonic() - began

    assert took_s(401) > 0.8
    assert took_s(202) < 0.5


def test_a_service_that_is_away_is_said_in_the_same_shape(service: Service) -> None:
    with Nginx(f"unix:{service.folder}/nobody.sock") as nginx, nginx.client() as client:
        answer = client.post("/ingest/events?k=v", json={})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert assert_problem(answer, "service_unavailable")["instance"] == "/ingest/events"


@pytest.mark.parametrize(
    "path", ["/health/ready", "/metrics", "/%6detrics", "/health//ready", "/health/./ready"]
)
def test_what_is_not_public_is_not_found_from_outside(nginx: Nginx, path: str) -> None:
    # Nobody outside has 127.0.0.2, but nginx does not know it either.
    outside = httpx.HTTPTransport(local_address="127.0.0.2")
    with httpx.Client(base_url=nginx.url, transport=outside) as client:
        answer = client.get(path)
        assert answer.status_code == 404
        assert_problem(answer, "not_found")
        assert client.get("/health/live").status_code == 200


@pytest.mark.parametrize("path", ["/health/ready", "/metrics"])
def test_what_is_not_public_is_there_for_this_machine(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code == 200


def exchange(nginx: Nginx, request: bytes) -> httpx.Response:
    """Send bytes that no client library would, and return the answer."""
    address = urlsplit(nginx.url)
    with socket.create_connection((str(address.hostname), address.port or 80), timeout=10) as connection:
        connection.sendall(request)
        answer = HTTPResponse(connection)
        answer.begin()
        return httpx.Response(answer.status, headers=answer.getheaders(), content=answer.read())


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        (b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 405, "method_not_allowed"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501, "bad_request"),
        (b"GET / HTTP/7.0\r\nHost: a\r\n\r\n", 505, "bad_request"),
        (b"GET / HTTP/1.1\r\n\r\n", 400, "bad_request"),
    ],
)
def test_what_nginx_does_not_implement_is_refused_in_the_same_shape(
    nginx: Nginx, request_: bytes, status: int, code: str
) -> None:
    answer = exchange(nginx, request_)
    assert answer.status_code == status
    assert_problem(answer, code)
    assert ("allow" in answer.headers) is (status == 405)


def test_every_answer_forbids_guessing_its_type_and_with_tls_going_back_to_plain_http(
    nginx: Nginx, client: httpx.Client
) -> None:
    paths = ("/", "/ingest/events", "/docs/assets/a.js", "/metrics")
    answers = [
        *map(client.get, paths),
        client.request("TRACE", "/"),
        client.get("/", headers={"X-Answer": "500"}),
    ]
    for answer in answers:
        assert answer.headers.get_list("x-content-type-options") == ["nosniff"], answer.url
        assert answer.headers.get_list("strict-transport-security") == ["max-age=31536000"], answer.url
    # A browser must ignore it there (RFC 6797, section 7.2).
    assert "strict-transport-security" not in httpx.get(nginx.url).headers


@pytest.mark.parametrize(
    "changes",
    [
        {
            "zone=requests:10m rate=1000r/s;": "zone=requests:10m rate=1r/s;",
            "requests burst=2000": "requests burst=2",
        },
        {"limit_conn connections 500;": "limit_conn connections 1;"},
    ],
    ids=["rate", "connections"],
)
def test_an_address_that_sends_too_much_is_refused_whatever_its_key(
    service: Service, changes: dict[str, str]
) -> None:
    with Nginx(service.bind, changes=changes) as nginx:
        with Load(nginx.url, KEY) as load:
            wait_until(lambda: load.outcomes()[429] > 20, 10, "some are refused")
        assert load.outcomes().keys() == {200, 429}
        with Load(nginx.url, KEY), nginx.client() as client:
            answers = [client.post("/ingest/events", json={}, headers={"X-Api-Key": KEY}) for _ in range(20)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    for answer in refused:
        assert answer.headers["retry-after"] == "1"
        assert_problem(answer, "too_many_requests")


@pytest.mark.alone
def test_a_flood_of_webhooks_from_one_address_is_bounded_and_a_sender_beside_it_is_not_slowed(
    nginx: Nginx,
) -> None:
    began = time.monotonic()
    with (
        Load(nginx.url, "none", path=HOOK) as flood,
        Load(nginx.url, KEY, path=HOOK, connections=1, pause_s=0.02, address="127.0.0.2") as beside,
    ):
        wait_until(lambda: flood.outcomes()[429] > 1000, 30, "most are refused")
        wait_until(lambda: len(beside.sent) > 50, 10, "the other has gone on")
    took_s = time.monotonic() - began
    assert flood.outcomes().keys() == {200, 429}
    # The burst, and what the rate lets by.
    assert flood.outcomes()[200] <= 1001 + 200 * took_s
    assert beside.outcomes().keys() == {200}
    assert statistics.median(sent.took_s for sent in beside.sent) < 0.25


def test_webhooks_over_their_rate_are_refused_in_the_same_shape_and_are_no_wrong_keys(
    service: Service,
) -> None:
    changes = {
        "zone=hooks:10m rate=200r/s;": "zone=hooks:10m rate=1r/m;",
        "hooks burst=1000": "hooks burst=40",
    }
    with Nginx(service.bind, changes=changes) as nginx, nginx.client() as client:
        answers = [client.post(HOOK, content=b"payload=%7B%7D") for _ in range(50)]
        # More than wrong_keys lets by, so these were not counted there.
        assert [answer.status_code for answer in answers[:41]] == [200] * 41
        assert {answer.status_code for answer in answers[41:]} == {429}
        assert answers[-1].headers["retry-after"] == "1"
        assert_problem(answers[-1], "too_many_requests")
        assert client.post("/ingest/events", json={}).status_code == 200


def test_a_webhook_is_passed_on_with_its_body_and_signature_unchanged(client: httpx.Client) -> None:
    body = os.urandom(100_000)
    headers = {"X-Hub-Signature-256": "sha256=00", "Content-Type": "application/x-www-form-urlencoded"}
    seen = client.post(f"{HOOK}?bodySHA256=ab", content=body, headers=headers).json()
    assert seen["sha256"] == hashlib.sha256(body).hexdigest()
    assert seen["headers"]["HTTP_X_HUB_SIGNATURE_256"] == "sha256=00"
    assert seen["headers"]["CONTENT_TYPE"] == headers["Content-Type"]


def test_what_is_no_http_is_refused_in_the_same_shape(nginx: Nginx) -> None:
    for answer in (
        httpx.get(nginx.tls_url.replace("https", "http")),
        httpx.get(nginx.url, headers={"X-Long": "x" * 40_000}),
    ):
        assert answer.status_code in (400, 431)
        assert_problem(answer, "bad_request")


def assert_problem(answer: httpx.Response, code: str) -> dict[str, object]:
    """Check that an answer of nginx's own has the application's shape (RFC 9457), and return it."""
    problem: dict[str, object] = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert (problem["code"], problem["type"]) == (code, f"/docs/errors/{code}")
    assert problem["status"] == answer.status_code
    assert problem["requestId"] == answer.headers["x-request-id"]
    assert isinstance(problem["retryable"], bool)
    assert problem["title"]
    assert problem["detail"]
    return problem
