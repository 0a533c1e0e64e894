"""Requests of projects over a limit are refused before their body is read."""

import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from sqlalchemy import Engine

from tests.fixtures.sender import EXAMPLES, Sender, assert_refused
from tests.fixtures.servers.gunicorn import Service
from tests.fixtures.servers.valkey import Valkey
from vigilry_ingest.api_keys.admission import Admission, TooManyInvalidRequests
from vigilry_ingest.api_keys.lookup import Caller
from vigilry_ingest.api_keys.projects import limit
from vigilry_ingest.api_keys.registry import mint
from vigilry_ingest.domain.event import Quota
from vigilry_ingest.stream.errors import RateLimited

pytestmark = pytest.mark.one_database

EVENT = EXAMPLES["events"]


def caller_of(project: str, quota: Quota | None = None) -> Caller:
    """Make a caller of a project."""
    return Caller(project, "production", "key_1", "vig_live_1", None, quota)


def test_a_project_without_invalid_requests_is_admitted() -> None:
    admission = Admission(invalid_per_s=1)
    for _ in range(1000):
        admission.check(caller_of("proj_1"))


def test_invalid_requests_are_admitted_up_to_ten_seconds_worth_and_of_one_project_only() -> None:
    admission = Admission(invalid_per_s=10)
    for _ in range(100):
        admission.check(caller_of("proj_1"))
        admission.note_invalid(caller_of("proj_1"), 0)
    with pytest.raises(TooManyInvalidRequests) as refused:
        admission.check(caller_of("proj_1"))
    assert refused.value.retry_after_s == 1
    admission.check(caller_of("proj_2"))
    time.sleep(0.25)
    admission.check(caller_of("proj_1"))


def test_a_large_invalid_request_counts_as_many_small_ones() -> None:
    admission = Admission(invalid_per_s=10)
    for _ in range(2):
        admission.note_invalid(caller_of("proj_1"), 5 * 1024 * 1024)
    with pytest.raises(TooManyInvalidRequests) as refused:
        admission.check(caller_of("proj_1"))
    assert refused.value.retry_after_s == 7


def test_no_invalid_request_counts_when_the_limit_is_off() -> None:
    admission = Admission(invalid_per_s=0)
    for _ in range(1000):
        admission.note_invalid(caller_of("proj_1"), 10**9)
    admission.check(caller_of("proj_1"))


def test_a_project_over_its_quota_is_refused_until_the_next_event_is_allowed_or_the_quota_changes() -> None:
    admission = Admission(invalid_per_s=10)
    slow, fast = Quota(1, 1), Quota(1000, 1000)
    admission.note_limited(caller_of("proj_1", slow), RateLimited(200_000, "bytes"))
    with pytest.raises(RateLimited) as refused:
        admission.check(caller_of("proj_1", slow))
    assert (refused.value.retry_after_s, refused.value.unit) == (1, "bytes")
    admission.check(caller_of("proj_1", fast))
    admission.note_limited(caller_of("proj_1", slow), RateLimited(200_000))
    time.sleep(0.25)
    admission.check(caller_of("proj_1", slow))


@pytest.fixture
def strict(valkey: Valkey, database_url: str) -> Iterator[Service]:
    settings = {
        "VIGILRY_REDIS_URL": valkey.url, "VIGILRY_DATABASE_URL": database_url,
        "VIGILRY_INVALID_REQUESTS_PER_S": "1",
    }  # fmt: skip
    with Service(settings) as running:
        yield running


@pytest.fixture
def sender(strict: Service, valkey: Valkey, engine: Engine) -> Iterator[Sender]:
    minted = mint(engine, f"project {time.time_ns()}", "production")
    with closing(Sender(strict, valkey, minted)) as sender:
        yield sender


INVALID: dict[str, tuple[str, bytes, dict[str, str]]] = {
    "malformed JSON": ("events", b"{", {}),
    "an invalid event": ("webhook", b"{}", {}),
    "a batch of nothing": ("batch", b'{"events":[]}', {}),
    "a batch of invalid items": ("batch", b'{"events":[{}]}', {}),
    "a corrupt body": ("stripe", b"x", {"Content-Encoding": "gzip"}),
    "an invalid idempotency key": ("events", b"{}", {"Idempotency-Key": "x" * 300}),
}


@pytest.mark.parametrize("case", INVALID)
def test_a_sender_of_invalid_requests_is_refused_unread_and_may_go_on_later(
    sender: Sender, case: str
) -> None:
    endpoint, body, headers = INVALID[case]
    statuses = [sender.post(endpoint, body, headers=headers).status_code for _ in range(11)]
    assert statuses[:9] == [400] * 9
    assert statuses[-1] == 429
    # Each endpoint is closed for the project, also to what is valid.
    refused = sender.post("events", EVENT)
    problem = assert_refused(refused, 429, "too_many_invalid_requests")
    assert (problem["retryable"], refused.headers["retry-after"]) == (True, "1")
    key = {"X-Api-Key": sender.minted.api_key}
    assert sender.http.get("/ingest/jobs/bull-1", headers=key).status_code == 404
    time.sleep(1.1)
    assert sender.post("events", EVENT).status_code == 202


def test_what_is_refused_without_reading_its_body_does_not_count(sender: Sender) -> None:
    for _ in range(30):
        assert sender.post("events", b"{}", headers={"Content-Type": "text/plain"}).status_code == 415
        assert sender.post("events", b"{}", key="vig_live_x").status_code == 401
    assert sender.post("events", EVENT).status_code == 202


def test_a_body_over_the_quota_is_not_read(sender: Sender, engine: Engine) -> None:
    limit(engine, sender.minted.project_id, Quota(bytes_per_second=1000))
    assert sender.post("events", EVENT | {"message": "x" * 5000}).status_code == 202
    problem = assert_refused(sender.post("events", EVENT), 429, "rate_limited")
    assert "more bytes than" in problem["detail"]
    # An invalid body is refused for the quota, so nobody has looked into it.
    refused = sender.post("events", b"{")
    assert_refused(refused, 429, "rate_limited")
    assert refused.headers["ratelimit-policy"] == '"bytes";q=1000;qu="content-bytes";w=1'
    assert refused.headers["ratelimit"] == f'"bytes";r=0;t={refused.headers["retry-after"]}'
