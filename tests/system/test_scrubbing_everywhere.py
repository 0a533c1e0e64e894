"""Scrubbed values are found nowhere: on streams, in files, in SQL, among dead letters, in logs or traces."""

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine

from tests.domain.scrubbing.examples import ALL_PATTERNS, card_number, iban_of
from tests.fixtures.databases import migrate, new_database
from tests.fixtures.servers.collector import Collector
from tests.fixtures.servers.gunicorn import Service
from tests.fixtures.servers.valkey import Valkey
from tests.fixtures.servers.waiting import wait_until
from tests.fixtures.servers.worker import Worker
from vigilry_ingest.api_keys.projects import scrub
from vigilry_ingest.api_keys.registry import mint
from vigilry_ingest.domain.scrubbing.rules import DEFAULT_FIELDS, ScrubbingRules
from vigilry_ingest.storage.engine import make_engine

pytestmark = pytest.mark.alone

EVENTS, BATCH = 10_000, 500
# A failing batch is retried after pauses, so the first one has to do.
DEAD_LETTERS = 100
FAILING_HANDLER = "tests.fixtures.handlers:refuse_all"

_PART = re.compile(rb"zqzq[ a-z]*[0-9]+|10[.][0-9.]*[0-9]|[0-9]{14,}")


class Secrets:
    """Makes values that must be found nowhere, each of them once."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311  it is to be repeatable
        self.made: list[str] = []

    def found_in(self, content: bytes) -> set[bytes]:
        """Return what is found of the values: a part of each that is nowhere else."""
        parts = {part for value in self.made for part in _PART.findall(value.encode())}
        assert len(parts) > len(self.made) * 0.99
        return parts.intersection(_PART.findall(content))

    def one(self) -> str:
        """Return a value that is a secret by its form."""
        number = self._random.randrange(10**12)
        value = self._random.choice(
            [
                f"zqzq{number}@example.com",
                card_number(number),
                iban_of(number),
                f"10.{number % 256}.{number // 256 % 256}.{number // 65536 % 256}",
                f"eyJhbGciOiJIUzI1NiJ9.zqzq{number}.zqzq{number}",
                f"sk_live_zqzq{number:012d}",
            ]
        )
        self.made.append(value)
        return value

    def of_field(self) -> str:
        """Return a value that is a secret by the name of its field."""
        self.made.append(f"zqzq field {self._random.randrange(10**12)}")
        return self.made[-1]

    def event(self) -> dict[str, Any]:
        """Return an item of a batch that has secrets in many places."""
        one, of_field = self.one, self.of_field
        kind = self._random.choice(["event", "server_error", "webhook"])
        payload = {
            "user": {one(): one(), "password": of_field(), "n": 1.5},
            "headers": [["Authorization", of_field()], ["X", one()]],
            "log": f'line 1\n\tline 2: {one()} "quoted" {one()}\u0000 \u00e9',
            "token": {"a": [of_field(), {"b": of_field()}]},
            "request": json.dumps({"secret": of_field(), "x": one()}),
        }
        if kind == "event":
            return {
                "kind": kind, "type": "t", "severity": "INFO", "message": f"No {one()} of {one()}",
                "source": "s", "correlation": {"user": one(), "order": "o"}, "payload": payload,
            }  # fmt: skip
        if kind == "webhook":
            return {"kind": kind, "source": one(), "event": "e", "payload": payload}
        return {
            "kind": kind, "status_code": 500, "method": "GET", "path": f"/a?email={one()}",
            "error_message": one(), "stack": f"Error: {one()}\n    at f (/app/{one()}/x.js:1:2)\n",
            "correlation": {"a": one()},
        }  # fmt: skip


@pytest.fixture
def broker() -> Iterator[Valkey]:
    """Run a broker that keeps an append-only file."""
    with Valkey() as server:
        yield server


def files_of(broker: Valkey) -> bytes:
    """Return what the broker has on disk."""
    folder = Path(broker.ask("CONFIG", "GET", "dir")["dir"])
    return b"".join(path.read_bytes() for path in folder.rglob("*aof*") if path.is_file())


def dump(url: str) -> str:
    """Return all rows of events as text."""
    engine = create_engine(url)
    with engine.connect() as connection:
        tables = ("events", "event_correlations", "audit_log", "projects")
        rows = [str(row) for table in tables for row in connection.exec_driver_sql(f"SELECT * FROM {table}")]  # noqa: S608  constants
    engine.dispose()
    return "\n".join(rows)


def count_of(url: str) -> int:
    """Return the number of stored events."""
    engine = create_engine(url)
    with engine.connect() as connection:
        count: int = connection.exec_driver_sql("SELECT count(*) FROM events").scalar_one()
    engine.dispose()
    return count


def test_the_secrets_of_ten_thousand_events_are_found_nowhere(
    broker: Valkey, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = new_database("sqlite", request, tmp_path)
    migrate(url)
    engine = make_engine(url)
    minted = mint(engine, "shop", "production")
    scrub(engine, minted.project_id, ScrubbingRules.checked(DEFAULT_FIELDS, ALL_PATTERNS))
    engine.dispose()
    secrets = Secrets(17)
    with Collector() as collector:
        settings: dict[str, str | int] = {
            "VIGILRY_REDIS_URL": broker.url, "VIGILRY_DATABASE_URL": url, "VIGILRY_LOG_LEVEL": "debug",
            **collector.settings,
        }  # fmt: skip
        failing_options = ("--group", "failing", "--handler", FAILING_HANDLER, "--deliveries", "2")
        with (
            Service(settings) as service,
            Worker(settings) as worker,
            Worker(settings, *failing_options) as failing,
        ):
            headers = {"X-Api-Key": minted.api_key}
            with service.client(timeout=30.0) as client:
                for _ in range(EVENTS // BATCH):
                    events = [secrets.event() for _ in range(BATCH)]
                    answer = client.post("/ingest/batch", json={"events": events}, headers=headers)
                    assert answer.json()["accepted"] == BATCH, answer.text[:2000]
                    assert int(answer.headers["vigilry-scrubbed"]) >= 5 * BATCH
                # Refused events and their messages, too.
                client.post("/ingest/events", json={"type": secrets.one()}, headers=headers)
            wait_until(lambda: count_of(url) == EVENTS, 120, "all are stored", log=worker.log_text)
            dead = "vigilry:{0}:dead"
            wait_until(
                lambda: broker.ask("XLEN", dead) >= DEAD_LETTERS, 60, "some are dead", log=failing.log_text
            )
            logs = service.log_text() + worker.log_text() + failing.log_text()
        traces = str(collector.spans)
    with broker.client(decode_responses=False) as client_of_broker:
        entries = str(client_of_broker.xrange(dead)) + str(client_of_broker.xrange("vigilry:{0}:events"))
    places = {
        "stream": entries.encode(), "files": files_of(broker), "SQL": dump(url).encode(),
        "logs": logs.encode(), "traces": traces.encode(),
    }  # fmt: skip
    assert len(secrets.made) > 10 * EVENTS
    assert secrets.found_in(" ".join(secrets.made[-5:]).encode())
    for name, content in places.items():
        assert content, name
        assert secrets.found_in(content) == set(), name
