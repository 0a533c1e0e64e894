"""What ``/openapi.json`` says, held against what the service answers."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine

from tests.api.specs.schemas import is_valid
from tests.fixtures.sender import EXAMPLES, Sender, assert_refused
from tests.fixtures.servers.gunicorn import Service
from tests.fixtures.servers.valkey import Valkey
from vigilry_ingest.api.problems import NGINX, PROBLEM_TYPES
from vigilry_ingest.api_keys.registry import mint

pytestmark = pytest.mark.one_database

Document = dict[str, Any]
PROBLEM = "application/problem+json"
OF_HTTP = {"server", "date", "connection", "content-type", "content-length", "x-content-type-options"}


def examples_of(document: Document) -> Iterator[tuple[str, str, Document]]:
    """Return every refusal of the document: path, word and example."""
    for path, operations in document["paths"].items():
        for operation in operations.values():
            for response in operation["responses"].values():
                for code, example in response["content"].get(PROBLEM, {"examples": {}})["examples"].items():
                    yield path, code, example["value"]


def example_of(document: Document, path: str, code: str) -> Document:
    """Return one example of a refusal."""
    return next(example for at, word, example in examples_of(document) if (at, word) == (path, code))


def described_headers(document: Document, answer: httpx.Response) -> set[str]:
    """Return the names of the headers, in small letters, that the document says an answer may have."""
    path = re.sub(r"bull-\d+", "{jobId}", answer.request.url.path)
    (operation,) = document["paths"][path].values()
    return {name.lower() for name in operation["responses"][str(answer.status_code)]["headers"]}


def test_every_refusal_of_the_service_itself_has_an_example(document: Document) -> None:
    assert {code for _, code, _ in examples_of(document)} == set(PROBLEM_TYPES) - {"bad_request", *NGINX}


def test_every_example_of_a_refusal_is_of_its_own_path_and_fits_the_schema(document: Document) -> None:
    for path, code, example in examples_of(document):
        assert re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", path), example["instance"]), (path, code)
        assert is_valid(document, "Problem", example)


def test_a_refusal_of_a_word_that_is_not_known_yet_fits_the_schema(document: Document) -> None:
    known = example_of(document, "/ingest/events", "stream_full")
    assert is_valid(document, "Problem", known | {"code": "broker_asleep"})


@pytest.mark.parametrize("endpoint", [*EXAMPLES, "batch"])
def test_an_event_that_does_not_fit_is_refused_as_the_example_says(
    document: Document, sender: Sender, endpoint: str
) -> None:
    body = {
        "events": EXAMPLES["events"] | {"severity": "bad"},
        "server-error": {name: value for name, value in EXAMPLES["server-error"].items() if name != "path"},
        "webhook": EXAMPLES["webhook"] | {"severity": "bad"},
        "stripe": {"type": "charge.failed"},
        "batch": {"events": [EXAMPLES["events"] | {"severity": "bad"}]},
    }[endpoint]
    seen = sender.post(endpoint, body).json()
    example = example_of(document, f"/ingest/{endpoint}", "invalid_event")
    assert seen | {"requestId": example["requestId"]} == example


def test_a_batch_that_has_only_a_reused_key_is_refused_as_the_example_says(
    document: Document, sender: Sender
) -> None:
    item = EXAMPLES["events"] | {"idempotencyKey": "k"}
    assert sender.post("batch", {"events": [item]}).status_code == 202
    seen = sender.post("batch", {"events": [item | {"source": "another"}]}).json()
    example = example_of(document, "/ingest/batch", "idempotency_key_reused")
    # The request's id is its own, and the words of the fault are for people.
    seen["requestId"] = example["requestId"]
    seen["results"][0]["errors"][0]["detail"] = example["results"][0]["errors"][0]["detail"]
    assert seen == example


def test_the_headers_of_an_answer_are_described_and_sunset_wherever_an_expiring_key_is_told(
    document: Document, service: Service, valkey: Valkey, engine: Engine
) -> None:
    soon = datetime.now(UTC) + timedelta(days=1)
    sender = Sender(service, valkey, mint(engine, "expires soon", "production", expires_at=soon))
    stored = sender.post("events", EXAMPLES["events"], headers={"Idempotency-Key": "k"})
    headers = {"X-Api-Key": sender.minted.api_key}
    answers = [
        stored,
        sender.post("events", EXAMPLES["events"], headers={"Idempotency-Key": "k"}),
        sender.post("events", {}, headers={"Idempotency-Key": "k2"}),
        sender.post("events", EXAMPLES["webhook"], key=None),
        sender.post("events", b"x" * 2_000_000),
        sender.post("events", b"{}", headers={"Content-Type": "text/plain"}),
        sender.post("events", b"{}", headers={"Content-Encoding": "br"}),
        sender.post("events", EXAMPLES["events"] | {"source": "b"}, headers={"Idempotency-Key": "k"}),
        sender.post("batch", {"events": [EXAMPLES["events"]]}),
        sender.http.get("/ingest/batch", headers=headers),
        sender.http.get(stored.headers["location"], headers=headers),
        sender.http.get("/ingest/jobs/bull-1", headers=headers),
    ]
    for answer in answers:
        described = described_headers(document, answer)
        told = {name for name in answer.headers if name not in OF_HTTP}
        assert told <= described, answer.request.url
        assert ("sunset" in told) is ("sunset" in described), (answer.request.url, answer.status_code)
    assert {answer.status_code for answer in answers} == {202, 400, 401, 413, 415, 422, 405, 200, 404}
    sender.close()


def test_a_question_for_a_job_is_refused_by_the_broker_in_a_word_that_is_listed(
    document: Document, service: Service, engine: Engine
) -> None:
    with Valkey() as alone:
        # A replica that has lost its primary, and is not to answer from what it has.
        alone.ask("CONFIG", "SET", "replica-serve-stale-data", "no")
        with Service(service.settings | {"VIGILRY_REDIS_URL": alone.url}) as asking:
            sender = Sender(asking, alone, mint(engine, "asks a replica", "production"))
            alone.ask("REPLICAOF", "127.0.0.1", "1")
            answer = sender.http.get("/ingest/jobs/bull-1", headers={"X-Api-Key": sender.minted.api_key})
            sender.close()
    assert_refused(answer, 503, "broker_primary_down")
    assert example_of(document, "/ingest/jobs/{jobId}", "broker_primary_down")["retryable"]


def test_what_an_item_may_leave_unsaid_fits_the_schema_and_is_taken(
    document: Document, sender: Sender
) -> None:
    unsaid = EXAMPLES["events"] | {"kind": None, "idempotencyKey": None}
    assert is_valid(document, "EventItem", unsaid)
    assert sender.post("batch", {"events": [unsaid]}).json()["accepted"] == 1
    for schema, kind in (("WebhookItem", "webhook"), ("StripeEventItem", "stripe")):
        assert not is_valid(document, schema, EXAMPLES[kind] | {"kind": None})
    assert not is_valid(document, "EventItem", unsaid | {"idempotencyKey": "a blank at its end "})


def test_the_key_of_a_whole_batch_is_refused_as_its_operation_says(
    document: Document, sender: Sender
) -> None:
    answer = sender.post("batch", {"events": [EXAMPLES["events"]]}, headers={"Idempotency-Key": "k"})
    problem = assert_refused(answer, 400, "invalid_idempotency_key")
    example = example_of(document, "/ingest/batch", "invalid_idempotency_key")
    assert {name: problem[name] for name in ("instance", "title")} == {
        name: example[name] for name in ("instance", "title")
    }
    operation = document["paths"]["/ingest/batch"]["post"]
    assert "`Idempotency-Key` header is rejected" in operation["description"]
