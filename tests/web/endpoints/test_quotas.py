"""Quotas: exactly what is let through, over workers; who is not touched; what a sender learns."""

import re
import time
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from tests.fixtures.load import Load
from tests.fixtures.sender import EXAMPLES, Sender, assert_refused
from tests.fixtures.servers.gunicorn import Service
from tests.fixtures.servers.valkey import Valkey
from tests.fixtures.services import NewSender
from vigilry_ingest.api_keys.projects import limit
from vigilry_ingest.domain.event import Quota

pytestmark = pytest.mark.one_database

EVENT = EXAMPLES["events"]


@pytest.fixture
def limited(sender: Sender, engine: Engine) -> Sender:
    """Return a sender of three events at once, and one more in ten seconds or so."""
    limit(engine, sender.minted.project_id, Quota(1, 3))
    return sender


def items(count: int, **more: object) -> dict[str, object]:
    """Make a batch."""
    return {"events": [EVENT | {"message": f"{number}"} | more for number in range(count)]}


def test_what_is_over_the_quota_is_refused_and_told_when_to_come_again(limited: Sender) -> None:
    answers = [limited.post("events", EVENT) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [202] * 3
    assert [answer.headers["ratelimit-policy"] for answer in answers] == ['"project";q=3;w=3'] * 3
    left = [re.fullmatch(r'"project";r=(\d);t=(\d)', answer.headers["ratelimit"]) for answer in answers]
    assert [match and match.groups() for match in left] == [("2", "1"), ("1", "2"), ("0", "3")]
    refused = limited.post("events", EVENT)
    problem = assert_refused(refused, 429, "rate_limited")
    assert problem["retryable"]
    assert refused.headers["retry-after"] == "1"
    assert refused.headers["ratelimit-policy"] == '"project";q=3;w=3'
    assert refused.headers["ratelimit"] == '"project";r=0;t=1'
    time.sleep(1.05)
    assert limited.post("events", EVENT).status_code == 202
    assert len(limited.published()) == 4


@pytest.mark.parametrize("endpoint", EXAMPLES)
def test_every_endpoint_counts_against_the_same_quota(limited: Sender, engine: Engine, endpoint: str) -> None:
    limit(engine, limited.minted.project_id, Quota(1, 1))
    assert limited.post(endpoint, EXAMPLES[endpoint]).status_code == 202
    for each, example in EXAMPLES.items():
        body = example | {"id": "evt_another"} if each == "stripe" else example
        assert_refused(limited.post(each, body), 429, "rate_limited")


def test_a_batch_counts_by_its_events_and_what_is_over_is_rejected_by_itself(limited: Sender) -> None:
    answer = limited.post("batch", items(5))
    assert answer.status_code == 202
    results = answer.json()["results"]
    assert [result["status"] for result in results] == ["queued"] * 3 + ["rejected"] * 2
    assert {result.get("code") for result in results[3:]} == {"rate_limited"}
    assert len(limited.published()) == 3


def test_a_batch_is_told_of_its_quota_and_when_to_send_the_rest(limited: Sender) -> None:
    whole = limited.post("batch", items(2))
    assert whole.headers["ratelimit-policy"] == '"project";q=3;w=3'
    assert whole.headers["ratelimit"] == '"project";r=1;t=2'
    assert "retry-after" not in whole.headers
    in_part = limited.post("batch", items(2))
    assert (in_part.json()["accepted"], in_part.headers["retry-after"]) == (1, "1")
    assert in_part.headers["ratelimit"] == '"project";r=0;t=1'


def test_a_batch_of_which_some_only_have_to_wait_is_429_and_says_what_can_never_be_taken(
    limited: Sender,
) -> None:
    headers = {"Idempotency-Key": "used"}
    assert limited.post("events", EVENT, headers=headers).status_code == 202
    assert limited.post("batch", items(2)).status_code == 202
    reused = EVENT | {"message": "another", "idempotencyKey": "used"}
    answer = limited.post("batch", {"events": [reused, {}, EVENT]})
    problem = assert_refused(answer, 429, "rate_limited")
    assert answer.headers["retry-after"] == "1"
    assert problem["retryable"]
    codes = ["idempotency_key_reused", "invalid_event", "rate_limited"]
    assert [result["code"] for result in problem["results"]] == codes


def test_what_is_not_stored_does_not_count(limited: Sender) -> None:
    headers = {"Idempotency-Key": "one"}
    first = limited.post("events", EVENT, headers=headers)
    for _ in range(5):
        again = limited.post("events", EVENT, headers=headers)
        assert (again.status_code, again.json()) == (202, first.json())
        assert again.headers["ratelimit"].startswith('"project";r=2;')
        assert limited.post("events", EVENT | {"message": "x"}, headers=headers).status_code == 422
        assert limited.post("events", {}).status_code == 400
    assert [limited.post("events", EVENT).status_code for _ in range(3)] == [202, 202, 429]


def test_a_quota_can_be_raised_and_lifted(limited: Sender, engine: Engine) -> None:
    assert [limited.post("events", EVENT).status_code for _ in range(4)] == [202, 202, 202, 429]
    limit(engine, limited.minted.project_id, None)
    time.sleep(1.2)
    answers = [limited.post("events", EVENT) for _ in range(10)]
    assert {answer.status_code for answer in answers} == {202}
    assert "ratelimit" not in answers[0].headers
    limit(engine, limited.minted.project_id, Quota(1000, 1000))
    time.sleep(1.2)
    assert limited.post("events", EVENT).headers["ratelimit-policy"] == '"project";q=1000;w=1'


def test_a_project_without_a_quota_is_told_of_none(sender: Sender) -> None:
    headers = sender.post("events", EVENT).headers
    assert not {"ratelimit", "ratelimit-policy", "sunset"} & set(headers)


@pytest.fixture
def four_workers(valkey: Valkey, database_url: str) -> Iterator[Service]:
    settings = {"VIGILRY_REDIS_URL": valkey.url, "VIGILRY_DATABASE_URL": database_url}
    with Service(settings, workers=4) as running:
        yield running


@pytest.mark.alone
def test_a_hundred_a_second_and_fifty_at_once_are_1050_in_ten_seconds_over_four_workers(
    four_workers: Service, new_sender: NewSender, engine: Engine
) -> None:
    limited, beside = new_sender(), new_sender()
    limit(engine, limited.minted.project_id, Quota(100, 50))
    began = time.monotonic()
    with (
        Load(four_workers.url, beside.minted.api_key, connections=2, pause_s=0.01) as other,
        Load(four_workers.url, limited.minted.api_key, connections=8, pause_s=0.002) as load,
    ):
        time.sleep(10)
    # A busy machine lets the senders end a little later.
    whole = 50 + 100 * (time.monotonic() - began)
    assert load.outcomes().keys() == {202, 429}
    assert 1050 * 0.98 <= load.outcomes()[202] <= whole * 1.02
    assert other.outcomes().keys() == {202}
    assert len(limited.published()) == load.outcomes()[202]
