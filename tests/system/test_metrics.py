"""What /metrics says: exactly what was sent, over four workers, a reload and killed workers; no secret."""

import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator

import httpx
import psutil  # type: ignore[import-untyped]  # psutil ships no types
import pytest

from tests.fixtures.scrape import parse, scrape
from tests.fixtures.sender import EXAMPLES, Sender
from tests.fixtures.servers.gunicorn import Service
from tests.fixtures.servers.valkey import Valkey
from tests.fixtures.servers.waiting import free_port, wait_until
from tests.fixtures.servers.worker import Worker
from tests.fixtures.services import NewSender
from vigilry_ingest import __version__
from vigilry_ingest.api_keys.registry import mint
from vigilry_ingest.storage.engine import make_engine

pytestmark = pytest.mark.one_database

WORKERS = 4
KINDS = {"events": "event", "server-error": "server_error", "webhook": "webhook", "stripe": "stripe"}


class Sent:
    """What was sent, by what came back; safe to share between threads."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self.requests: Counter[tuple[str, str, str]] = Counter()
        self.events: Counter[tuple[str, str]] = Counter()

    def note(self, endpoint: str, answer: httpx.Response, events: dict[tuple[str, str], int]) -> None:
        """Note an answer, and the events that it stands for."""
        code = "" if answer.status_code < 400 else answer.json()["code"]
        with self._mutex:
            self.requests[f"/ingest/{endpoint}", str(answer.status_code), code] += 1
            self.events.update(events)


@pytest.fixture
def counted(valkey: Valkey, database_url: str) -> Iterator[Service]:
    settings = {
        "VIGILRY_REDIS_URL": valkey.url,
        "VIGILRY_DATABASE_URL": database_url,
        "VIGILRY_METRICS_BY_PROJECT": "on",
    }
    with Service(settings, workers=WORKERS) as running:
        yield running


def send_of_each(client: httpx.Client, key: str, name: str, sent: Sent) -> None:
    """Send an event of each kind, one twice, one that does not fit, one without a key, and a batch."""
    headers = {"X-Api-Key": key}
    for endpoint, example in EXAMPLES.items():
        body = example | {"id": name} if endpoint == "stripe" else example
        sent.note(
            endpoint,
            client.post(f"/ingest/{endpoint}", json=body, headers=headers),
            {(KINDS[endpoint], "accepted"): 1},
        )
    sent.note(
        "stripe",
        client.post("/ingest/stripe", json=EXAMPLES["stripe"] | {"id": name}, headers=headers),
        {("stripe", "duplicate"): 1},
    )
    sent.note(
        "webhook",
        client.post("/ingest/webhook", json={"a": 1}, headers=headers),
        {("webhook", "rejected"): 1},
    )
    sent.note("events", client.post("/ingest/events", json={}), {("event", "rejected"): 1})
    items = [EXAMPLES["events"], EXAMPLES["server-error"] | {"kind": "server_error"}, {"kind": "x"}]
    sent.note(
        "batch",
        client.post("/ingest/batch", json={"events": items}, headers=headers),
        {("event", "accepted"): 1, ("server_error", "accepted"): 1, ("unknown", "rejected"): 1},
    )


def test_counters_are_exactly_what_was_sent_over_four_workers_and_a_reload(
    counted: Service, database_url: str
) -> None:
    engine = make_engine(database_url)
    minted = mint(engine, "counted", "production")
    engine.dispose()
    sent = Sent()
    ending = threading.Event()

    def work(name: int) -> None:
        # A new connection each time, so that every worker has its share.
        number = 0
        while not ending.is_set():
            number += 1
            with counted.client(timeout=20.0) as client:
                send_of_each(client, minted.api_key, f"evt_{name}_{number}", sent)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    old = set(counted.worker_pids())
    counted.reload()
    counted.wait_for(
        lambda: len(new := set(counted.worker_pids())) == WORKERS and not new & old, "all workers are new"
    )
    time.sleep(0.5)
    ending.set()
    for thread in threads:
        thread.join()

    def requests_seen() -> dict[tuple[str, str, str], float]:
        return {
            (labels["endpoint"], labels["status"], labels["code"]): value
            for labels, value in scrape(counted).of("vigilry_http_requests_total")
            if labels["endpoint"].startswith("/ingest/")
        }

    # The counts of the workers that were not scraped are a moment behind.
    wait_until(lambda: sum(requests_seen().values()) >= sum(sent.requests.values()), 5, "all are counted")
    assert requests_seen() == sent.requests
    seen = scrape(counted)
    events = {(ev["kind"], ev["outcome"]): value for ev, value in seen.of("vigilry_events_total")}
    assert events == sent.events
    for endpoint in {endpoint for endpoint, _, _ in sent.requests}:
        whole = sum(count for (each, _, _), count in sent.requests.items() if each == endpoint)
        assert seen.value("vigilry_http_request_duration_seconds_count", endpoint=endpoint) == whole
        assert (
            seen.value("vigilry_http_request_duration_seconds_bucket", endpoint=endpoint, le="+Inf") == whole
        )
    accepted = sum(count for (_, outcome), count in sent.events.items() if outcome == "accepted")
    own = {"project": minted.project_id, "outcome": "accepted"}
    assert seen.value("vigilry_project_events_total", **own) == accepted
    assert minted.api_key not in str(seen)


def kill(pids: list[int]) -> None:
    """Kill processes, and wait until they are gone."""
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)], timeout=10)


def test_a_killed_workers_counts_are_kept_and_its_place_is_taken_again(
    counted: Service, database_url: str
) -> None:
    engine = make_engine(database_url)
    key = mint(engine, "killed", "production").api_key
    engine.dispose()
    with counted.client() as client:
        assert client.post("/ingest/events", json=EXAMPLES["events"], headers={"X-Api-Key": key}).is_success
    # What was counted in the last moments before a kill may be lost.
    time.sleep(1.0)
    for _ in range(3):
        old = counted.worker_pids()
        kill(old)
        counted.wait_ready()
        assert not set(old) & set(counted.worker_pids())
    seen = scrape(counted)
    assert seen.value("vigilry_events_total", kind="event", outcome="accepted") == 1
    assert seen.value("vigilry_http_requests_total", endpoint="/ingest/events", status="202") == 1


def test_the_streams_stand_in_the_metrics_and_a_worker_shows_its_own(
    new_sender: NewSender, service: Service, valkey: Valkey, database_url: str
) -> None:
    before = scrape(service)
    sender = new_sender()
    for _ in range(3):
        assert sender.post("events", EXAMPLES["events"]).status_code == 202
    after = scrape(service)
    assert after.value("vigilry_broker_up") == 1
    assert after.value("vigilry_streams_unread") == 0
    assert after.value("vigilry_stream_max_entries") == 1_000_000
    assert after.value("vigilry_build_info", version=__version__) == 1
    grown = after.value("vigilry_stream_entries", partition="0") - before.value("vigilry_stream_entries")
    assert grown == 3
    port = free_port()
    settings = {"VIGILRY_REDIS_URL": valkey.url, "VIGILRY_DATABASE_URL": database_url}
    with Worker(settings, "--metrics", f"127.0.0.1:{port}", "--group", "counted") as worker:

        def handled() -> float:
            shown = httpx.get(f"http://127.0.0.1:{port}/metrics").text
            return parse(shown).value("vigilry_worker_events_total", group="counted", outcome="handled")

        def lag() -> float:
            return scrape(service).value("vigilry_group_lag_events", partition="0", group="counted")

        worker.wait_for(lambda: handled() >= 3 and lag() == 0, "the worker has handled them")
        own = parse(httpx.get(f"http://127.0.0.1:{port}/metrics").text)
    assert own.value("vigilry_worker_handler_duration_seconds_count", group="counted") >= 1
    assert own.value("vigilry_worker_batch_events_sum", group="counted") == own.value(
        "vigilry_worker_events_total", group="counted", outcome="handled"
    )


def test_a_frozen_broker_is_said_to_be_down_within_the_publish_time_out(database_url: str) -> None:
    with Valkey() as own:
        settings = {"VIGILRY_REDIS_URL": own.url, "VIGILRY_DATABASE_URL": database_url}
        with Service(settings) as service:
            own.freeze()
            try:
                began = time.monotonic()
                seen = scrape(service)
                took = time.monotonic() - began
            finally:
                own.thaw()
    assert (seen.value("vigilry_broker_up"), seen.value("vigilry_streams_unread")) == (0, 1)
    assert took < 3


def test_what_a_sender_makes_up_makes_no_series(sender: Sender, service: Service) -> None:
    def make_up(number: int) -> None:
        sender.http.get(f"/nowhere/{number}")
        sender.http.request(f"MADE{number}", "/ingest/events")
        sender.http.get(f"/ingest/jobs/bull-{number}", headers={"X-Api-Key": sender.minted.api_key})
        sender.post("events", {"type": f"type_{number}", "severity": f"S{number}", "message": "x"})

    # The first makes the series of these endpoints and outcomes.
    make_up(0)
    before = len(scrape(service).samples)
    for number in range(1, 50):
        make_up(number)
    seen = scrape(service)
    # The scrapes themselves are a series.
    assert len(seen.samples) <= before + 20
    assert json.dumps(seen.samples).count("type_") == 0
