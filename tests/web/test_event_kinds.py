"""A kind that is registered in one place appears wherever kinds do."""

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from tests.fixtures.flask_commands import environment
from tests.fixtures.scrape import scrape
from tests.fixtures.sender import Sender, assert_refused
from tests.fixtures.servers.gunicorn import ROOT, Service
from tests.fixtures.servers.valkey import Valkey
from vigilry_ingest.api_keys.registry import mint

pytestmark = pytest.mark.one_database

APP = "tests.fixtures.note_kind"


@pytest.fixture(scope="module")
def service(valkey: Valkey, database_url: str) -> Iterator[Service]:
    settings = {"VIGILRY_REDIS_URL": valkey.url, "VIGILRY_DATABASE_URL": database_url}
    with Service(settings, app=f"{APP}:app") as running:
        yield running


@pytest.fixture
def sender(service: Service, valkey: Valkey, engine: Engine) -> Iterator[Sender]:
    sender = Sender(service, valkey, mint(engine, "notes", "production"))
    yield sender
    sender.close()


def test_its_endpoint_takes_and_refuses_events(sender: Sender) -> None:
    assert sender.post("note", {"text": "hello"}).status_code == 202
    problem = assert_refused(sender.post("note", {}), 400, "invalid_event")
    assert problem["errors"][0]["pointer"] == "/text"
    assert_refused(sender.post("note", {"text": "hello"}, key=None), 401, "missing_api_key")
    (entry,) = sender.published()
    assert (entry[b"kind"], entry[b"message"]) == (b"note", b"hello")


def test_a_batch_takes_it(sender: Sender) -> None:
    answer = sender.post("batch", {"events": [{"kind": "note", "text": "hello"}]}).json()
    assert (answer["accepted"], answer["rejected"]) == (1, 0)
    assert sender.published()[0][b"kind"] == b"note"


def test_metrics_count_it(sender: Sender, service: Service) -> None:
    sender.post("note", {"text": "hello"})
    sender.post("note", {})
    seen = scrape(service)
    assert seen.value("vigilry_events_total", kind="note", outcome="accepted") >= 1
    assert seen.value("vigilry_events_total", kind="note", outcome="rejected") >= 1
    assert seen.value("vigilry_http_requests_total", endpoint="/ingest/note", status="202") >= 1


def test_both_specs_describe_it(sender: Sender) -> None:
    openapi = sender.http.get("/openapi.json").json()
    operation = openapi["paths"]["/ingest/note"]["post"]
    assert (operation["summary"], operation["operationId"]) == ("Send a note", "sendNote")
    assert openapi["components"]["schemas"]["Note"]["required"] == ["text"]
    assert "NoteItem" in json.dumps(openapi["paths"]["/ingest/batch"])
    asyncapi = sender.http.get("/asyncapi.json").json()
    assert "note" in asyncapi["components"]["schemas"]["Entry"]["properties"]["kind"]["enum"]


def test_the_commands_offer_it(database_url: str) -> None:
    command = [sys.executable, "-m", "flask", "--app", APP, "events", "list", "--kind"]
    env = environment(DATABASE_URL=database_url)
    done = subprocess.run([*command, "note"], cwd=ROOT, env=env, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    done = subprocess.run([*command, "page"], cwd=ROOT, env=env, capture_output=True, text=True, timeout=30)
    assert done.returncode == 2
    assert "'note'" in done.stderr
