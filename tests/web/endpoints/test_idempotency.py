"""Idempotency over HTTP: a retry is safe at every endpoint, and a key that cannot be used is refused."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine

from tests.fixtures.databases import KeyStore
from tests.fixtures.sender import (
    EXAMPLES,
    Sender,
    an_example,
    assert_503,
    assert_refused,
    at_once,
    job_ids,
    published_ids,
    wait_accepted,
)
from tests.fixtures.servers.gunicorn import Service
from tests.fixtures.servers.valkey import Valkey
from tests.fixtures.services import NewSender
from vigilry_ingest.api_keys.registry import mint

ENDPOINTS = list(EXAMPLES)


def post(sender: Sender, body: object, key: str | None = None, endpoint: str = "events") -> httpx.Response:
    """Post under an Idempotency-Key, or without one."""
    return sender.post(endpoint, body, headers={} if key is None else {"Idempotency-Key": key})


def changed(endpoint: str) -> dict[str, Any]:
    """Change an endpoint's example a little, so that it is another event."""
    other: dict[str, dict[str, Any]] = {
        "events": {"message": "another"},
        "server-error": {"path": "/another"},
        "webhook": {"payload": {}},
        "stripe": {"id": "evt_another"},
    }
    return EXAMPLES[endpoint] | other[endpoint]


def assert_first(answer: httpx.Response) -> str:
    """Check that an answer is that of an event's first time, and return its jobId."""
    assert answer.status_code == 202, answer.text
    assert "idempotent-replayed" not in answer.headers
    return str(answer.json()["jobId"])


def assert_replay(answer: httpx.Response, job_id: str) -> None:
    """Check that an answer is the first one's again."""
    assert answer.status_code == 202, answer.text
    assert answer.headers["idempotent-replayed"] == "true"
    assert answer.json() == {"jobId": job_id, "status": "queued"}


def markers_of(valkey: Valkey, sender: Sender) -> list[str]:
    """Name what is remembered of a sender's project beside its entries."""
    found: list[str] = valkey.ask("KEYS", f"*{sender.minted.project_id}*")
    return found


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_replay_gets_the_first_job_id_and_publishes_nothing(sender: Sender, endpoint: str) -> None:
    job_id = assert_first(post(sender, EXAMPLES[endpoint], "order-4421", endpoint))
    for _ in range(3):
        assert_replay(post(sender, EXAMPLES[endpoint], "order-4421", endpoint), job_id)
    assert published_ids(sender) == [job_id]
    assert sender.published()[0][b"idempotency_key"] == b"order-4421"


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_key_that_comes_with_another_body_is_refused_and_nothing_is_published(
    sender: Sender, endpoint: str
) -> None:
    job_id = assert_first(post(sender, EXAMPLES[endpoint], "order-4421", endpoint))
    answer = post(sender, changed(endpoint), "order-4421", endpoint)
    assert not assert_refused(answer, 422, "idempotency_key_reused")["retryable"]
    assert "retry-after" not in answer.headers
    assert published_ids(sender) == [job_id]
    assert_replay(post(sender, EXAMPLES[endpoint], "order-4421", endpoint), job_id)


def test_a_key_is_known_at_its_own_endpoint_alone(sender: Sender) -> None:
    ids = [assert_first(post(sender, EXAMPLES[each], "order-4421", each)) for each in ENDPOINTS]
    assert published_ids(sender) == ids


def test_a_key_is_known_in_its_own_project_alone(new_sender: NewSender) -> None:
    for sender in (new_sender(), new_sender()):
        job_id = assert_first(post(sender, EXAMPLES["events"], "order-4421"))
        assert published_ids(sender) == [job_id]


@pytest.mark.parametrize("endpoint", ["events", "stripe"])
def test_a_key_is_known_in_its_own_environment_alone(sender: Sender, engine: Engine, endpoint: str) -> None:
    staging = mint(engine, sender.minted.project, "staging").api_key
    headers = {"Idempotency-Key": "order-4421"}
    answers = [
        sender.post(endpoint, EXAMPLES[endpoint], headers=headers, key=key)
        for key in (staging, sender.minted.api_key)
    ]
    assert published_ids(sender) == [assert_first(answer) for answer in answers]
    assert [entry[b"environment"] for entry in sender.published()] == [b"staging", b"production"]


def test_events_without_a_key_are_all_published_and_leave_no_keys(sender: Sender, valkey: Valkey) -> None:
    ids = [assert_first(post(sender, EXAMPLES["events"])) for _ in range(3)]
    assert published_ids(sender) == ids
    assert markers_of(valkey, sender) == []


@pytest.mark.parametrize(
    "key",
    ["x", "x" * 255, "a:b{c}d*e?f[g]h", "with spaces within", '"quoted"', "~!@#$%^&()_+`", "\\\\'"],
    ids=["one", "longest", "signs of Redis", "spaces", "quotes", "signs", "escapes"],
)
def test_a_usable_key_is_taken_as_it_is(sender: Sender, key: str) -> None:
    job_id = assert_first(post(sender, EXAMPLES["events"], key))
    assert_replay(post(sender, EXAMPLES["events"], key), job_id)
    assert sender.published()[0][b"idempotency_key"] == key.encode()


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize(
    "key",
    ["", "x" * 256, "x" * 4000, "schlüssel".encode(), b"\xff", "ключ".encode(), b"a\tb"],
    ids=["empty", "256 characters", "4,000 characters", "utf-8", "latin-1", "cyrillic", "a tab"],
)
def test_an_unusable_key_is_refused_and_nothing_is_published(
    sender: Sender, valkey: Valkey, endpoint: str, key: Any
) -> None:
    answer = post(sender, EXAMPLES[endpoint], key, endpoint)
    assert not assert_refused(answer, 400, "invalid_idempotency_key")["retryable"]
    assert sender.published() == []
    assert markers_of(valkey, sender) == []


def raw_post(service: Service, sender: Sender, key: bytes) -> bytes:
    """Post with a header that no HTTP library would send, and return the first line of the answer."""
    host, _, port = service.bind.partition(":")
    body = b'{"type":"t","severity":"INFO","message":"m"}'
    head = (
        b"POST /ingest/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"X-Api-Key: %b\r\nIdempotency-Key: %b\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
    ) % (sender.minted.api_key.encode(), key, len(body))
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(head + body)
        with connection.makefile("rb") as answer:
            return answer.readline()


@pytest.mark.parametrize("key", [b"a\x01b", b"a\x00b", b"a\x7fb", b"a\x1bb"])
def test_a_key_with_control_characters_is_a_bad_request_and_nothing_is_published(
    service: Service, sender: Sender, key: bytes
) -> None:
    assert raw_post(service, sender, b"plain").startswith(b"HTTP/1.1 202 ")
    assert raw_post(service, sender, key).startswith(b"HTTP/1.1 400 ")
    assert len(sender.published()) == 1


def test_an_event_that_is_refused_does_not_use_its_key_up(sender: Sender, valkey: Valkey) -> None:
    assert_refused(post(sender, {"type": "t"}, "order-4421"), 400, "invalid_event")
    assert_refused(post(sender, b"{", "order-4421"), 400, "malformed_json")
    assert markers_of(valkey, sender) == []
    assert_first(post(sender, EXAMPLES["events"], "order-4421"))


def stripe(name: str | None = "evt_1", **others: Any) -> dict[str, Any]:
    """Make a Stripe event with an id."""
    return {"id": name, "type": "charge.failed", "data": {"object": {}}} | others


def test_stripes_own_retries_differ_and_get_the_first_job_id(sender: Sender) -> None:
    job_id = assert_first(post(sender, stripe(pending_webhooks=3), endpoint="stripe"))
    for pending in (2, 1, 0):
        assert_replay(post(sender, stripe(pending_webhooks=pending), endpoint="stripe"), job_id)
    assert published_ids(sender) == [job_id]


def test_a_stripe_id_is_known_in_its_own_project_and_endpoint_alone(new_sender: NewSender) -> None:
    one, other = new_sender(), new_sender()
    assert_first(post(one, stripe(), endpoint="stripe"))
    assert_first(post(other, stripe(), endpoint="stripe"))
    # The same text as an Idempotency-Key is another key.
    assert_first(post(one, stripe("evt_2"), "evt_1", endpoint="stripe"))
    assert_first(post(one, EXAMPLES["events"], "evt_1"))


@pytest.mark.parametrize("body", [stripe(None), {"type": "charge.failed", "data": {}}])
def test_a_stripe_event_without_an_id_is_published_each_time(
    sender: Sender, valkey: Valkey, body: dict[str, Any]
) -> None:
    ids = [assert_first(post(sender, body, endpoint="stripe")) for _ in range(2)]
    assert published_ids(sender) == ids
    assert markers_of(valkey, sender) == []


@pytest.mark.parametrize("name", ["x" * 255, "ключ", "a b:c{d}", '"\\'])
def test_any_stripe_id_is_known_again(sender: Sender, name: str) -> None:
    job_id = assert_first(post(sender, stripe(name), endpoint="stripe"))
    assert_replay(post(sender, stripe(name, livemode=True), endpoint="stripe"), job_id)


FIRST = stripe("evt_1", pending_webhooks=2)


@pytest.mark.parametrize(
    ("key", "body", "outcome"),
    [
        ("key-1", FIRST, "replay"),
        (None, FIRST, "replay"),
        ("key-2", FIRST, "replay"),
        (None, stripe("evt_1", pending_webhooks=1), "replay"),
        ("key-2", stripe("evt_1", pending_webhooks=1), "replay"),
        # A sender of an Idempotency-Key asserts that the body is the same.
        ("key-1", stripe("evt_1", pending_webhooks=1), "reused"),
        ("key-1", stripe("evt_2"), "reused"),
        ("key-1", stripe(None), "reused"),
        ("key-2", stripe("evt_2"), "new"),
        (None, stripe("evt_2"), "new"),
        (None, stripe(None), "new"),
    ],
    ids=str,
)
def test_after_a_key_and_a_stripe_id(
    sender: Sender, key: str | None, body: dict[str, Any], outcome: str
) -> None:
    job_id = assert_first(post(sender, FIRST, "key-1", "stripe"))
    answer = post(sender, body, key, "stripe")
    if outcome == "replay":
        assert_replay(answer, job_id)
    elif outcome == "reused":
        assert_refused(answer, 422, "idempotency_key_reused")
    else:
        assert assert_first(answer) != job_id
    assert len(sender.published()) == (2 if outcome == "new" else 1)


def test_a_key_that_a_stripe_retry_brings_along_is_remembered_too(sender: Sender) -> None:
    job_id = assert_first(post(sender, FIRST, endpoint="stripe"))
    assert_replay(post(sender, FIRST, "key-1", "stripe"), job_id)
    assert_refused(post(sender, stripe("evt_2"), "key-1", "stripe"), 422, "idempotency_key_reused")
    assert published_ids(sender) == [job_id]


def test_a_stripe_id_that_comes_with_a_known_key_only_is_not_taken_from_another_event(sender: Sender) -> None:
    first = assert_first(post(sender, stripe("evt_1"), "key-1", "stripe"))
    second = assert_first(post(sender, stripe("evt_2"), "key-2", "stripe"))
    assert_refused(post(sender, stripe("evt_2"), "key-1", "stripe"), 422, "idempotency_key_reused")
    assert_replay(post(sender, stripe("evt_2"), endpoint="stripe"), second)
    assert published_ids(sender) == [first, second]


@pytest.fixture(scope="module")
def own_valkey() -> Iterator[Valkey]:
    with Valkey() as server:
        yield server


@pytest.fixture(scope="module")
def two_workers(key_store: KeyStore, own_valkey: Valkey) -> Iterator[Service]:
    """Run a service of two workers that forgets a key after ten seconds and has space for 300 entries."""
    settings = {"stream_max_entries": 300, "idempotency_ttl_s": 10}
    with key_store.service(own_valkey.url, workers=2, **settings) as service:
        yield service


@pytest.fixture
def pair_sender(key_store: KeyStore, two_workers: Service, own_valkey: Valkey) -> Iterator[Sender]:
    """Return a sender to the two workers, and an empty stream."""
    own_valkey.ask("FLUSHALL")
    sender = key_store.sender(two_workers, own_valkey)
    yield sender
    sender.close()


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_sixteen_replays_at_once_make_one_entry_and_sixteen_acceptances(
    pair_sender: Sender, endpoint: str
) -> None:
    barrier = threading.Barrier(16)

    def replay(_number: int) -> httpx.Response:
        barrier.wait(20)
        return post(pair_sender, EXAMPLES[endpoint], "order-4421", endpoint)

    answers = at_once(replay, range(16))
    assert len(set(job_ids(answers))) == 1
    assert published_ids(pair_sender) == [answers[0].json()["jobId"]]
    assert sum("idempotent-replayed" in answer.headers for answer in answers) == 15


def test_a_key_is_forgotten_after_its_time(key_store: KeyStore, own_valkey: Valkey) -> None:
    own_valkey.ask("FLUSHALL")
    with (
        key_store.service(own_valkey.url, idempotency_ttl_s=1) as service,
        closing(key_store.sender(service, own_valkey)) as sender,
    ):
        first = assert_first(post(sender, an_example(1), "order-4421"))
        (marker,) = markers_of(own_valkey, sender)
        assert 0 < own_valkey.ask("PTTL", marker) <= 1000
        # Another body is refused as long as the key is known, and is a new event afterwards.
        answers = [post(sender, an_example(2), "order-4421")]
        while answers[-1].status_code == 422 and len(answers) < 1000:
            time.sleep(0.005)
            answers.append(post(sender, an_example(2), "order-4421"))
        for answer in answers[:-1]:
            assert_refused(answer, 422, "idempotency_key_reused")
        assert published_ids(sender) == [first, assert_first(answers[-1])]


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_full_stream_answers_known_keys_and_remembers_no_new_ones(
    pair_sender: Sender, own_valkey: Valkey, endpoint: str
) -> None:
    job_id = assert_first(post(pair_sender, EXAMPLES[endpoint], "known", endpoint))
    with own_valkey.client() as client:
        for _ in range(299):
            client.xadd("vigilry:{0}:events", {"v": "0"})
    assert_503(post(pair_sender, changed(endpoint), "new", endpoint), "stream_full")
    assert len(markers_of(own_valkey, pair_sender)) == (2 if endpoint == "stripe" else 1)
    assert_replay(post(pair_sender, EXAMPLES[endpoint], "known", endpoint), job_id)
    own_valkey.ask("XTRIM", "vigilry:{0}:events", "MAXLEN", 10)
    assert_first(post(pair_sender, changed(endpoint), "new", endpoint))


def test_a_broker_without_memory_remembers_no_key_and_the_retry_is_stored(
    pair_sender: Sender, own_valkey: Valkey
) -> None:
    own_valkey.ask("CONFIG SET", "maxmemory", 1)
    assert_503(post(pair_sender, EXAMPLES["stripe"], "new", "stripe"), "broker_out_of_memory")
    own_valkey.ask("CONFIG SET", "maxmemory", 0)
    assert markers_of(own_valkey, pair_sender) == []
    answer = wait_accepted(lambda: post(pair_sender, EXAMPLES["stripe"], "new", "stripe"))
    assert published_ids(pair_sender) == [assert_first(answer)]
