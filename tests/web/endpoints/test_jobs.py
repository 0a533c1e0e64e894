"""``GET /ingest/jobs/<jobId>``: the status of an event while it is processed, and afterwards."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.fixtures.commands import Commands
from tests.fixtures.consuming import Running, wait_on
from tests.fixtures.sender import EXAMPLES, Sender, assert_refused, wait_accepted
from tests.fixtures.servers.gunicorn import Service
from tests.fixtures.servers.postgres import Postgres
from tests.fixtures.servers.valkey import Valkey
from tests.fixtures.servers.waiting import wait_until
from vigilry_ingest.api_keys.registry import mint
from vigilry_ingest.domain.handler import Delivered
from vigilry_ingest.storage.engine import make_engine
from vigilry_ingest.storage.event_writer import Store
from vigilry_ingest.storage.migrate import upgrade

STREAM = "vigilry:{0}:events"


def fail(_events: Sequence[Delivered]) -> None:
    """Handle nothing."""
    raise ValueError("not this one")


class Site:
    """A service with a broker and a database of its own, which can be stopped and started."""

    def __init__(self, service: Service, valkey: Valkey, postgres: Postgres, database_url: str) -> None:
        self.service = service
        self.valkey = valkey
        self.postgres = postgres
        self.database_url = database_url

    def sender(self, name: str, environment: str = "production") -> Sender:
        """Make a sender with a project of its own, or for another environment of one that exists."""
        engine = make_engine(self.database_url)
        minted = mint(engine, name, environment)
        engine.dispose()
        return Sender(self.service, self.valkey, minted)

    @contextmanager
    def storing(self) -> Iterator[None]:
        """Store events as the default worker does, while the block runs."""
        engine = make_engine(self.database_url)
        with Running(self.valkey.url, Store(engine).write):
            yield
        engine.dispose()

    def failing(self, *, deliveries: int = 1) -> Running:
        """Prepare a worker of the default group that fails on every event."""
        return Running(self.valkey.url, fail, deliveries=deliveries)

    def commands(self) -> Commands:
        """Return the commands on the same broker and database."""
        return Commands(redis_url=self.valkey.url, database_url=self.database_url)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Valkey() as valkey, Postgres() as postgres:
        url = postgres.new_database()
        engine = make_engine(url)
        upgrade(engine)
        engine.dispose()
        settings: dict[str, str | int] = {
            "VIGILRY_REDIS_URL": valkey.url,
            "VIGILRY_DATABASE_URL": url,
            # What is said of a job must not depend on whether the key could be looked up again.
            "VIGILRY_KEY_CACHE_TTL_S": 3600,
        }
        with Service(settings) as service:
            yield Site(service, valkey, postgres, url)


@pytest.fixture
def sender(site: Site, request: pytest.FixtureRequest) -> Iterator[Sender]:
    """Return a sender, and take off the broker what the last test has left there."""
    site.valkey.ask("FLUSHALL")
    sender = site.sender(request.node.name)
    yield sender
    sender.close()


def post(sender: Sender, message: str = "an event") -> str:
    """Post an event and return its jobId."""
    answer = sender.post("events", EXAMPLES["events"] | {"message": message})
    assert answer.status_code == 202, answer.text
    job_id: str = answer.json()["jobId"]
    return job_id


def look(sender: Sender, job_id: str, key: str | None = None) -> httpx.Response:
    """Ask for a job, as its sender or with another key."""
    headers = {"X-Api-Key": key or sender.minted.api_key}
    return sender.http.get(f"/ingest/jobs/{job_id}", headers=headers)


def job_of(sender: Sender, job_id: str) -> dict[str, Any]:
    """Return what is said of a job that is known."""
    answer = look(sender, job_id)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    job: dict[str, Any] = answer.json()
    assert job["jobId"] == job_id
    return job


def wait_status(sender: Sender, job_id: str, status: str, within_s: float = 15.0) -> dict[str, Any]:
    """Wait until a job has a status, and return what is said of it."""
    wait_until(
        lambda: job_of(sender, job_id)["status"] == status,
        within_s,
        f"the job is {status}",
        log=lambda: str(job_of(sender, job_id)),
    )
    return job_of(sender, job_id)


def wait_trimmed(site: Site) -> None:
    """Wait until the stream is empty."""
    wait_until(lambda: site.valkey.ask("XLEN", STREAM) == 0, 10.0, "the stream is trimmed")


def own_fields(sender: Sender) -> dict[str, str]:
    """Return what an answer must tell of the sender's only entry."""
    (entry,) = sender.published()
    text = {name.decode(): value.decode() for name, value in entry.items()}
    return {
        "eventId": text["id"],
        "kind": text["kind"],
        "type": text["type"],
        "receivedAt": text["received_at"],
    }


def test_without_a_worker_a_job_is_queued(sender: Sender) -> None:
    job_id = post(sender)
    assert job_of(sender, job_id) == {"jobId": job_id, "status": "queued", **own_fields(sender)}


@pytest.mark.parametrize("endpoint", EXAMPLES)
def test_the_location_of_a_202_leads_to_its_job(sender: Sender, endpoint: str) -> None:
    answer = sender.post(endpoint, EXAMPLES[endpoint], headers={"Idempotency-Key": "k"})
    location = answer.headers["location"]
    job = sender.http.get(location, headers={"X-Api-Key": sender.minted.api_key}).json()
    assert job["jobId"] == answer.json()["jobId"]
    assert {name: job[name] for name in own_fields(sender)} == own_fields(sender)
    again = sender.post(endpoint, EXAMPLES[endpoint], headers={"Idempotency-Key": "k"})
    assert again.headers["location"] == location


def test_while_the_handler_works_on_it_a_job_is_processing(site: Site, sender: Sender) -> None:
    job_id = post(sender)
    own = own_fields(sender)
    site.valkey.ask("XGROUP", "CREATE", STREAM, "slow", "0")
    go = threading.Event()
    with Running(site.valkey.url, wait_on(go)):
        job = wait_status(sender, job_id, "processing")
        assert job == {"jobId": job_id, "status": "processing", **own, "attempts": 1}
        go.set()
        job = wait_status(sender, job_id, "processed")
    # This handler is not the store's, so nobody has noted when.
    assert job == {"jobId": job_id, "status": "processed", **own}


def test_a_job_is_processed_while_its_entry_is_on_the_stream_and_after_it_was_trimmed(
    site: Site, sender: Sender
) -> None:
    job_id = post(sender)
    own = own_fields(sender)
    site.valkey.ask("XGROUP", "CREATE", STREAM, "slow", "0")
    with site.storing():
        job = wait_status(sender, job_id, "processed")
        assert site.valkey.ask("XLEN", STREAM) == 1
        site.valkey.ask("XGROUP", "DESTROY", STREAM, "slow")
        wait_trimmed(site)
    later = job_of(sender, job_id)
    assert later.pop("processedAt") >= own["receivedAt"]
    assert later == {"jobId": job_id, "status": "processed", **own}
    assert job.items() >= later.items()


def test_a_dead_job_has_the_class_of_its_failure_and_its_attempts(site: Site, sender: Sender) -> None:
    job_id = post(sender)
    own = own_fields(sender)
    with site.failing(deliveries=2):
        job = wait_status(sender, job_id, "dead")
        wait_trimmed(site)
    assert job == {
        "jobId": job_id,
        "status": "dead",
        **own,
        "attempts": 2,
        "reason": "handler_failed",
    }
    assert job_of(sender, job_id) == job


def test_a_retried_job_is_processed_under_its_first_job_id_however_often_it_died(
    site: Site, sender: Sender
) -> None:
    job_id = post(sender)
    own = own_fields(sender)
    with site.commands() as commands:
        with site.failing():
            for _ in range(2):
                wait_status(sender, job_id, "dead")
                commands.well("events", "dead", "retry", "--all")
            wait_status(sender, job_id, "dead")
        commands.well("events", "dead", "retry", "--all")
    assert job_of(sender, job_id) == {"jobId": job_id, "status": "queued", **own}
    with site.storing():
        wait_status(sender, job_id, "processed")
        wait_trimmed(site)
    job = job_of(sender, job_id)
    assert job.items() >= {"jobId": job_id, "status": "processed", **own}.items()


def test_a_job_whose_dead_letter_was_dropped_is_not_called_processed(site: Site, sender: Sender) -> None:
    job_id = post(sender)
    # Another group is behind, so the entry itself stays on the stream.
    site.valkey.ask("XGROUP", "CREATE", STREAM, "slow", "0")
    with site.failing(), site.commands() as commands:
        wait_status(sender, job_id, "dead")
        commands.well("events", "dead", "drop", "--all", "--yes")
        assert look(sender, job_id).json().get("status") != "processed"


def refusal_of(answer: httpx.Response) -> dict[str, Any]:
    """Check that an answer is the 404, and return all of it but what is each request's own."""
    problem = assert_refused(answer, 404, "not_found")
    assert not problem["retryable"]
    return {name: value for name, value in problem.items() if name not in ("requestId", "instance")}


@pytest.mark.parametrize("is_stored", [False, True])
def test_another_projects_job_is_as_unknown_as_one_that_never_was(
    site: Site, sender: Sender, is_stored: bool
) -> None:
    job_id = post(sender)
    if is_stored:
        with site.storing():
            wait_status(sender, job_id, "processed")
    other = site.sender(f"other {is_stored}")
    unknown = refusal_of(look(other, "bull-1769903999123000000"))
    assert refusal_of(look(other, job_id)) == unknown
    assert look(sender, job_id).status_code == 200
    other.close()


@pytest.mark.parametrize("environment", ["staging", "development"])
def test_a_job_of_another_environment_is_unknown_whatever_its_status(
    site: Site, request: pytest.FixtureRequest, environment: str
) -> None:
    site.valkey.ask("FLUSHALL")
    senders = [site.sender(request.node.name, each) for each in ("production", environment)]
    for each in senders:
        request.addfinalizer(each.close)
    assert len({each.minted.project_id for each in senders}) == 1

    def assert_each_sees_its_own(jobs: list[str], status: str) -> None:
        for own, other in ((0, 1), (1, 0)):
            wait_status(senders[own], jobs[own], status)
            hidden = assert_refused(look(senders[own], jobs[other]), 404, "not_found")
            never = assert_refused(look(senders[own], "bull-1"), 404, "not_found")
            assert hidden["detail"] == never["detail"]

    jobs = [post(each) for each in senders]
    assert_each_sees_its_own(jobs, "queued")
    with site.storing():
        assert_each_sees_its_own(jobs, "processed")
    jobs = [post(each) for each in senders]
    with site.failing():
        assert_each_sees_its_own(jobs, "dead")


def test_a_dead_job_of_another_project_is_unknown_too(site: Site, sender: Sender) -> None:
    job_id = post(sender)
    with site.failing():
        wait_status(sender, job_id, "dead")
    other = site.sender("other than the dead one's")
    assert refusal_of(look(other, job_id)) == refusal_of(look(other, "bull-1"))
    other.close()


STRANGE = [
    "bull-", "bull-x", "bull--1", "bull-+1", "bull-1.0", "bull-1e3", "bull- 1", " bull-1", "bull-1 ",
    "bull-1\n", "Bull-1", "1", "bull1", "bull-1_0", "bull-٣", "bull-1\0", "null", "…", "bull-0", "bull-01",
    f"bull-{2**63 - 1}", f"bull-{2**63}", f"bull-{2**64}", f"bull-{10**30}", "bull-" + "1" * 3000,
]  # fmt: skip


def test_malformed_unknown_and_too_large_job_ids_get_the_same_404(sender: Sender) -> None:
    job_id = post(sender)
    unknown = refusal_of(look(sender, "bull-1769903999123000000"))
    zero_padded = job_id.replace("bull-", "bull-0")
    for strange in (*STRANGE, zero_padded):
        assert refusal_of(look(sender, quote(strange, safe=""))) == unknown, strange


def test_a_job_needs_a_key_and_is_not_posted_to(sender: Sender) -> None:
    job_id = post(sender)
    assert_refused(sender.http.get(f"/ingest/jobs/{job_id}"), 401, "missing_api_key")
    assert_refused(look(sender, job_id, "vig_live_" + "x" * 36), 401, "invalid_api_key")
    answer = sender.post(f"jobs/{job_id}", {})
    assert_refused(answer, 405, "method_not_allowed")
    assert "GET" in answer.headers["allow"]


def test_with_the_broker_down_only_what_is_stored_is_told(site: Site, sender: Sender) -> None:
    stored = post(sender)
    with site.storing():
        wait_status(sender, stored, "processed")
    queued = post(sender)
    site.valkey.stop()
    try:
        answer = look(sender, queued)
        assert_refused(answer, 503, "broker_unavailable")
        assert int(answer.headers["retry-after"]) >= 1
        assert job_of(sender, stored)["status"] == "processed"
    finally:
        site.valkey.start()
    assert wait_answer(sender, queued)["status"] == "queued"
    wait_accepted(lambda: sender.post("events", EXAMPLES["events"]))


def test_with_the_database_down_the_answer_is_503_until_it_is_back(site: Site, sender: Sender) -> None:
    job_id = post(sender)
    site.postgres.stop()
    try:
        answer = look(sender, job_id)
        assert_refused(answer, 503, "event_store_unavailable")
        assert int(answer.headers["retry-after"]) >= 1
    finally:
        site.postgres.start()
    assert wait_answer(sender, job_id)["status"] == "queued"


def wait_answer(sender: Sender, job_id: str) -> dict[str, Any]:
    """Wait until a job is answered again after a failure, and return the answer."""
    wait_until(lambda: look(sender, job_id).status_code == 200, 5.0, "the job is told")
    return job_of(sender, job_id)
