"""Every program of ``examples/`` does what it says."""

import json
import sys
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Engine

from tests.examples.programs import (
    EXAMPLES,
    FILES,
    App,
    environment,
    flask_app,
    run,
    run_well,
    wait_for_one,
)
from tests.fixtures.sender import Sender
from tests.fixtures.servers.gunicorn import Service
from tests.fixtures.servers.process import Process
from tests.fixtures.servers.valkey import Valkey
from tests.fixtures.servers.waiting import free_port
from vigilry_ingest.api_keys.projects import limit
from vigilry_ingest.domain.event import Quota

pytestmark = pytest.mark.one_database

SENDERS = ["send.sh", "send_standard_library.py", "send_requests.py", "send_httpx.py", "send.mjs"]


def test_every_example_is_listed_and_every_listed_one_exists() -> None:
    listed = (EXAMPLES / "README.md").read_text()
    programs = {each.name for each in FILES}
    assert {name for name in programs if f"`{name}`" in listed} == programs


@pytest.mark.parametrize("name", SENDERS)
def test_a_sender_sends_one_event_and_says_its_job(name: str, service: Service, sender: Sender) -> None:
    said = run_well(name, environment(service, sender))
    (entry,) = sender.published()
    milliseconds, _, sequence = entry[b"_id"].decode().partition("-")
    assert f"bull-{int(milliseconds) * 1_000_000 + int(sequence)}" in said
    assert entry[b"message"] == b"Version 42 is out"


@pytest.mark.parametrize("name", [*SENDERS, "batch.py", "retry.py"])
def test_a_refusal_is_said_in_words_and_by_the_exit_code(name: str, service: Service, sender: Sender) -> None:
    done = run(name, environment(service, sender) | {"INGEST_API_KEY": "wrong"})
    assert done.returncode == 1
    assert "401" in done.stderr
    assert "The API key is unknown, mistyped, expired or revoked." in done.stderr
    assert "attempt 1" not in done.stderr, "no retry can help"


@pytest.mark.parametrize("form", [[], ["--lines"]])
def test_a_batch_is_sent_and_its_keys_keep_it_from_being_stored_twice(
    form: list[str], service: Service, sender: Sender
) -> None:
    said = [run_well("batch.py", environment(service, sender), *form).splitlines() for _ in range(2)]
    assert said[0] == said[1]
    assert len(said[0]) == len(sender.published()) == 4
    assert all(line.startswith("queued bull-") for line in said[0])


def test_what_is_over_the_quota_of_a_batch_is_sent_again(
    service: Service, sender: Sender, engine: Engine
) -> None:
    limit(engine, sender.minted.project_id, Quota(per_second=1, burst=2))
    said = run_well("batch.py", environment(service, sender)).splitlines()
    assert len(said) == len(sender.published()) == 4


def test_retries_store_an_event_once_although_the_broker_was_away(sender: Sender, service: Service) -> None:
    with Valkey() as own, Service(service.settings | {"VIGILRY_REDIS_URL": own.url}) as waiting:
        own.kill()
        tries = Process(
            [sys.executable, str(EXAMPLES / "retry.py")], env=environment(waiting, sender), cwd=EXAMPLES
        )
        with tries:
            tries.wait_for(lambda: "attempt 2: 503" in tries.log_text(), "it tries again")
            own.start()
            tries.wait_for(lambda: "bull-" in tries.log_text(), "it is stored")
        assert own.ask("XLEN", "vigilry:{0}:events") == 1


def test_a_flask_application_reports_its_errors_and_answers_all_the_same(
    service: Service, sender: Sender
) -> None:
    with flask_app("flask_errors", environment(service, sender)) as app:
        assert httpx.get(f"{app.url}/nowhere").status_code == 404
        assert httpx.get(f"{app.url}/orders/7").status_code == 500
        entry = wait_for_one(sender)
    payload = json.loads(entry[b"payload"])
    assert (entry[b"kind"], payload["path"], payload["status_code"]) == (b"server_error", "/orders/7", 500)
    assert payload["exception"]["type"] == "KeyError"


def test_an_application_answers_although_nobody_takes_its_report(service: Service, sender: Sender) -> None:
    env = environment(service, sender) | {"INGEST_URL": f"http://127.0.0.1:{free_port()}"}
    with flask_app("flask_errors", env) as app:
        assert [httpx.get(f"{app.url}/orders/7").status_code for _ in range(3)] == [500] * 3
        app.wait_for(lambda: "An error was not reported" in app.log_text(), "it says so")
        assert "KeyError: 'order 7'" in app.log_text()


def test_an_express_application_reports_its_errors(
    with_express: Path, service: Service, sender: Sender
) -> None:
    with App(["node", "express_errors.mjs"], environment(service, sender), with_express) as app:
        assert httpx.get(f"{app.url}/orders/7").status_code == 500
        entry = wait_for_one(sender)
    payload = json.loads(entry[b"payload"])
    assert (payload["path"], payload["exception"]["type"]) == ("/orders/7", "TypeError")
