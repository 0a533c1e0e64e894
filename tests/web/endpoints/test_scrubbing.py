"""Secrets are replaced at every endpoint of a project that asks for it, and nothing changes for others."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine

from tests.fixtures.scrape import scrape
from tests.fixtures.sender import EXAMPLES, Sender, assert_refused
from tests.fixtures.servers.gunicorn import Service
from tests.fixtures.servers.waiting import wait_until
from tests.sentry.envelopes import envelope, item, send
from vigilry_ingest.api_keys.projects import scrub
from vigilry_ingest.config.settings import Config
from vigilry_ingest.domain.event_kinds import event_kinds
from vigilry_ingest.domain.scrubbing.json_text import MAX_STRINGS
from vigilry_ingest.domain.scrubbing.rules import ScrubbingRules

EMAIL, PASSWORD = "jane.doe@example.com", "hunter2-of-jane"
RULES = ScrubbingRules.checked(["password", "card"], ["email", "card-number"])
TTL_S = Config().key_cache_ttl_s

# Bodies with the e-mail address twice and the password once, where a sender may have them.
BODIES: dict[str, Any] = {
    "event": {
        "type": "t", "severity": "INFO", "message": f"Failed for {EMAIL}", "source": "s",
        "correlation": {"user": EMAIL}, "payload": {"password": PASSWORD, "n": 1.0},
    },
    "server_error": {
        "status_code": 500, "path": f"/login?password={PASSWORD}", "method": "POST",
        "error_message": f"No {EMAIL}",
        "stack": f"Error: No {EMAIL}\n    at login (/app/login.js:1:2)",
    },
    "webhook": {
        "source": "s", "event": "e",
        "payload": {"a": [{"email": EMAIL}], "password": {"old": PASSWORD, "new": 1}, "b": EMAIL},
    },
    "stripe": {
        "id": "evt_1", "type": "charge.failed",
        "data": {"object": {"failure_message": EMAIL, "receipt": EMAIL, "card": {"password": PASSWORD}}},
    },
    "sentry": {
        "message": f"No {EMAIL}", "user": {"email": EMAIL}, "request": {"data": {"password": PASSWORD}},
    },
}  # fmt: skip


@pytest.fixture
def scrubbing(sender: Sender, engine: Engine) -> Sender:
    """Return the sender of a project with rules; its key is not cached yet."""
    scrub(engine, sender.minted.project_id, RULES)
    return sender


def post_single(sender: Sender, kind: str) -> httpx.Response:
    """Post the body of a kind to its own endpoint."""
    return sender.http.post(
        event_kinds()[kind].path, json=BODIES[kind], headers={"X-Api-Key": sender.minted.api_key}
    )


def post_batch(sender: Sender, kind: str) -> httpx.Response:
    """Post the body of a kind in a batch."""
    return sender.post("batch", {"events": [{"kind": kind, **BODIES[kind]}]})


def post_sentry(sender: Sender, form: str) -> httpx.Response:
    """Post the body of an SDK."""
    event = BODIES["sentry"]
    body = json.dumps(event).encode() if form == "store" else envelope(item(event))
    return send(sender, body, form=form)


SINGLE_KINDS = [kind for kind in event_kinds() if kind != "sentry"]
POSTS: dict[str, Callable[[Sender], httpx.Response]] = {
    **{kind: partial(post_single, kind=kind) for kind in SINGLE_KINDS},
    **{f"batch of {kind}": partial(post_batch, kind=kind) for kind in SINGLE_KINDS},
    **{form: partial(post_sentry, form=form) for form in ("envelope", "store")},
}


@pytest.mark.parametrize("name", POSTS)
def test_secrets_are_replaced_before_they_reach_the_broker(name: str, scrubbing: Sender) -> None:
    answer = POSTS[name](scrubbing)
    assert answer.status_code in (200, 202), answer.text
    assert int(answer.headers["vigilry-scrubbed"]) >= 3
    (entry,) = scrubbing.published()
    values = b" ".join(entry.values())
    assert EMAIL.encode() not in values
    assert PASSWORD.encode() not in values
    assert b"[scrubbed]" in values


@pytest.mark.parametrize("name", POSTS)
def test_a_project_without_rules_publishes_what_was_sent(name: str, sender: Sender) -> None:
    answer = POSTS[name](sender)
    assert "vigilry-scrubbed" not in answer.headers
    (entry,) = sender.published()
    values = b" ".join(entry.values())
    assert EMAIL.encode() in values
    assert PASSWORD.encode() in values


def test_the_answer_says_how_many_values_were_replaced_and_none_with_a_zero(scrubbing: Sender) -> None:
    answer = scrubbing.post("events", EXAMPLES["events"])
    assert answer.headers["vigilry-scrubbed"] == "0"
    answer = scrubbing.post("batch", {"events": [{"kind": "event", **BODIES["event"]}] * 3})
    assert answer.headers["vigilry-scrubbed"] == "9"


def test_an_idempotency_key_and_the_provider_s_id_count_as_before(scrubbing: Sender) -> None:
    headers = {"Idempotency-Key": "k"}
    first = scrubbing.post("events", BODIES["event"], headers=headers)
    again = scrubbing.post("events", BODIES["event"], headers=headers)
    assert (first.json(), again.headers["idempotent-replayed"]) == (again.json(), "true")
    other = BODIES["event"] | {"payload": {"password": "another"}}
    assert_refused(scrubbing.post("events", other, headers=headers), 422, "idempotency_key_reused")
    jobs = {post_single(scrubbing, "stripe").json()["jobId"] for _ in range(2)}
    assert len(jobs) == 1


def test_an_event_that_is_too_complex_is_refused_and_others_of_its_batch_are_not(scrubbing: Sender) -> None:
    complex_ = EXAMPLES["events"] | {"payload": {"a": [""] * (MAX_STRINGS + 1)}}
    problem = assert_refused(scrubbing.post("events", complex_), 400, "invalid_event")
    assert problem["errors"][0]["code"] == "too_complex"
    assert "50,000 strings" in problem["errors"][0]["detail"]
    items = [{"kind": "event", **body} for body in (complex_, EXAMPLES["events"])]
    answer = scrubbing.post("batch", {"events": items}).json()
    assert [result["status"] for result in answer["results"]] == ["rejected", "queued"]
    assert len(scrubbing.published()) == 1


def is_scrubbed(sender: Sender) -> bool:
    """Return whether an event is scrubbed now."""
    return "vigilry-scrubbed" in sender.post("events", BODIES["event"]).headers


def test_rules_take_effect_within_the_time_that_keys_are_cached(sender: Sender, engine: Engine) -> None:
    assert not is_scrubbed(sender)
    scrub(engine, sender.minted.project_id, RULES)
    wait_until(
        lambda: "vigilry-scrubbed" in sender.post("events", BODIES["event"]).headers, TTL_S + 1, "it scrubs"
    )
    scrub(engine, sender.minted.project_id, None)
    wait_until(
        lambda: "vigilry-scrubbed" not in sender.post("events", BODIES["event"]).headers,
        TTL_S + 1,
        "it does not",
    )


def test_replaced_values_are_counted(scrubbing: Sender, service: Service) -> None:
    before = scrape(service).value("vigilry_scrubbed_values_total")
    scrubbing.post("events", BODIES["event"])
    assert scrape(service).value("vigilry_scrubbed_values_total") == before + 3
