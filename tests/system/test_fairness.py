"""A project that sends the dearest events that its limits allow delays no other project of its partition."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.databases import migrate, new_database
from tests.fixtures.sender import Sender, an_example
from tests.fixtures.servers.gunicorn import Service
from tests.fixtures.servers.valkey import Valkey
from tests.fixtures.servers.waiting import wait_until
from tests.fixtures.servers.worker import Worker
from vigilry_ingest.api_keys.projects import limit
from vigilry_ingest.api_keys.registry import mint
from vigilry_ingest.domain.event import Quota
from vigilry_ingest.storage.engine import make_engine

pytestmark = pytest.mark.alone

SECONDS = float(os.environ.get("FAIRNESS_S", "6"))
WITHIN_S = 5.0
QUOTA = Quota(per_second=100, burst=100, bytes_per_second=4_000_000)
# What costs the worker most: rows by which the event is found.
DEAREST: dict[str, Any] = an_example("dear") | {
    "correlation": {f"name_{number:02}": "x" * 190 for number in range(64)},
    "payload": {"text": "y" * 8000},
}


@pytest.fixture(params=["sqlite", "postgresql"])
def senders(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Sender, Sender]]:
    """Run a service and a worker, and make senders of a limited and of another project."""
    url = new_database(request.param, request, tmp_path)
    migrate(url)
    with ExitStack() as exits:
        broker = exits.enter_context(Valkey(appendonly=False))
        settings: dict[str, str | int] = {"VIGILRY_REDIS_URL": broker.url, "VIGILRY_DATABASE_URL": url}
        engine = make_engine(url)
        exits.callback(engine.dispose)
        dear, other = (mint(engine, name, "production") for name in ("dear", "other"))
        limit(engine, dear.project_id, QUOTA)
        service = exits.enter_context(Service(settings))
        worker = Worker(settings)
        exits.callback(worker.close)
        worker.start()
        yield tuple(exits.enter_context(closing(Sender(service, broker, each))) for each in (dear, other))  # type: ignore[misc]  # two


def test_another_projects_event_is_processed_within_five_seconds(senders: tuple[Sender, Sender]) -> None:
    dear, other = senders
    ending = threading.Event()
    statuses: list[int] = []

    def send_as_allowed() -> None:
        while not ending.wait(0.005):
            statuses.append(dear.post("events", DEAREST).status_code)

    threads = [threading.Thread(target=send_as_allowed) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        began = time.monotonic()
        while time.monotonic() - began < SECONDS:
            job = other.post("events", an_example("plain")).json()["jobId"]
            wait_until(partial(is_processed, other, job), WITHIN_S, "it is processed")
            time.sleep(0.2)
    finally:
        ending.set()
        for thread in threads:
            thread.join()
    # It had all that its limits allow.
    assert set(statuses) == {202, 429}


def is_processed(sender: Sender, job_id: str) -> bool:
    """Return whether a job is done."""
    answer = sender.http.get(f"/ingest/jobs/{job_id}", headers={"X-Api-Key": sender.minted.api_key})
    return bool(answer.json()["status"] == "processed")
