"""``/health/live`` and ``/health/ready``: what a load balancer sees, and how soon."""

import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from tests.fixtures.servers.gunicorn import Service
from tests.fixtures.servers.postgres import Postgres
from tests.fixtures.servers.process import Process
from tests.fixtures.servers.valkey import Valkey
from tests.fixtures.servers.waiting import wait_until
from vigilry_ingest.storage.engine import make_engine
from vigilry_ingest.storage.migrate import upgrade

# Long enough that the wait for one part after the other would be seen.
PUBLISH_TIMEOUT_S = 0.7
LONGEST_S = PUBLISH_TIMEOUT_S + 0.5
BACK_WITHIN_S = 3.0

READY: dict[str, Any] = {"status": "ready", "checks": {"broker": "ok", "keyStore": "ok"}}


class Site:
    """A service with a broker and a key store that are its alone, to be stopped and frozen."""

    def __init__(self, valkey: Valkey, postgres: Postgres, service: Service) -> None:
        self.valkey = valkey
        self.postgres = postgres
        self.service = service

    def get(self, path: str) -> tuple[httpx.Response, float]:
        """Ask without a key on a connection of its own; return the answer and the seconds that it took."""
        with self.service.client(timeout=15.0) as client:
            client.get("/health/live")
            began = time.monotonic()
            answer = client.get(path)
            return answer, time.monotonic() - began

    def assert_unready(self, *failing: str) -> None:
        """Check that readiness is denied in time, and that just these parts are named as the reason."""
        answer, took_s = self.get("/health/ready")
        assert answer.status_code == 503
        body: dict[str, Any] = answer.json()
        assert body["status"] == "unready"
        assert body["checks"].keys() == READY["checks"].keys()
        assert {name for name, outcome in body["checks"].items() if outcome != "ok"} == set(failing), body
        # A word, and nothing that a driver says of hosts, users or statements.
        assert all(re.fullmatch(r"[a-z_]+", outcome) for outcome in body["checks"].values()), body
        assert took_s < LONGEST_S, f"it took {took_s:.2f} s"

    def assert_live(self) -> None:
        """Check that the process says that it lives, at once."""
        answer, took_s = self.get("/health/live")
        assert (answer.status_code, answer.json()) == (200, {"status": "live"})
        assert took_s < 0.5

    def is_ready(self) -> bool:
        """Return whether the service says that it is ready."""
        answer, _ = self.get("/health/ready")
        return answer.status_code == 200 and answer.json() == READY

    def wait_ready(self) -> None:
        """Wait until the service is ready again by itself."""
        wait_until(self.is_ready, BACK_WITHIN_S, "the service is ready again", log=self.service.log_text)


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[Postgres]:
    with Postgres() as server:
        yield server


@pytest.fixture(scope="module")
def site(own_postgres: Postgres) -> Iterator[Site]:
    url = own_postgres.new_database()
    engine = make_engine(url)
    upgrade(engine)
    engine.dispose()
    with Valkey() as valkey:
        settings: dict[str, str | int] = {
            "VIGILRY_REDIS_URL": valkey.url,
            "VIGILRY_DATABASE_URL": url,
            "VIGILRY_PUBLISH_TIMEOUT_MS": int(PUBLISH_TIMEOUT_S * 1000),
        }
        with Service(settings, worker_class="gevent") as service:
            yield Site(valkey, own_postgres, service)


@pytest.fixture(autouse=True)
def repaired(request: pytest.FixtureRequest) -> Iterator[None]:
    """Leave the servers running, whatever a test has found out."""
    yield
    if "site" in request.fixturenames:
        site: Site = request.getfixturevalue("site")
        for server in (site.valkey, site.postgres):
            server.thaw()
            if not server.alive:
                server.start()


def test_a_service_with_all_its_parts_is_live_and_ready_for_anybody(service: Service) -> None:
    with service.client() as client:
        for path, body in (("/health/live", {"status": "live"}), ("/health/ready", READY)):
            for headers in ({}, {"X-Api-Key": "nonsense"}):
                answer = client.get(path, headers=headers)
                assert (answer.status_code, answer.json()) == (200, body)
                assert answer.headers["content-type"] == "application/json"
            assert client.head(path).status_code == 200
            assert client.post(path).status_code == 405


def test_a_service_is_ready_again_after_its_first_look(site: Site) -> None:
    assert [site.is_ready() for _ in range(3)] == [True] * 3


def test_many_looks_at_once_all_find_the_service_ready(site: Site) -> None:
    with ThreadPoolExecutor(20) as pool:
        answers = [answer for answer, _ in pool.map(site.get, ["/health/ready"] * 40)]
    assert [answer.text for answer in answers if answer.status_code != 200] == []


@pytest.mark.alone
@pytest.mark.parametrize("fault", [Process.kill, Process.freeze])
def test_a_broker_that_is_gone_or_frozen_makes_the_service_unready_until_it_is_back(
    site: Site, fault: Callable[[Process], None]
) -> None:
    fault(site.valkey)
    site.assert_unready("broker")
    site.assert_live()
    bring_back(site.valkey)
    site.wait_ready()


@pytest.mark.alone
@pytest.mark.parametrize("fault", [Process.kill, Process.freeze])
def test_a_key_store_that_is_gone_or_frozen_makes_the_service_unready_until_it_is_back(
    site: Site, fault: Callable[[Process], None]
) -> None:
    fault(site.postgres)
    site.assert_unready("keyStore")
    site.assert_live()
    bring_back(site.postgres)
    site.wait_ready()


@pytest.mark.parametrize("state", ["never migrated", "an earlier version", "a later version"])
def test_a_database_without_this_versions_tables_is_not_ready_and_a_later_one_is(
    valkey: Valkey, postgres: Postgres, state: str
) -> None:
    url = postgres.new_database()
    engine = make_engine(url)
    if state != "never migrated":
        upgrade(engine)
        revision = "0001" if state == "an earlier version" else "9999"
        with engine.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = :is"), {"is": revision})
    engine.dispose()
    with Service({"VIGILRY_REDIS_URL": valkey.url, "VIGILRY_DATABASE_URL": url}) as service:
        with service.client() as client:
            answer = client.get("/health/ready")
        log = service.log_text()
    if state == "a later version":
        assert answer.json() == READY
        return
    assert (answer.status_code, answer.json()["checks"]["keyStore"]) == (503, "not_migrated")
    assert "run `flask db upgrade`" in log


@pytest.mark.alone
def test_both_may_be_frozen_and_the_answer_takes_no_longer(site: Site) -> None:
    site.valkey.freeze()
    site.postgres.freeze()
    site.assert_unready("broker", "keyStore")
    site.assert_live()
    bring_back(site.valkey)
    site.assert_unready("keyStore")
    bring_back(site.postgres)
    site.wait_ready()


def test_many_looks_at_a_frozen_key_store_leave_nothing_behind(site: Site) -> None:
    site.postgres.freeze()
    # More than the connections that an engine may have.
    with ThreadPoolExecutor(20) as pool:
        answers = [answer for answer, _ in pool.map(site.get, ["/health/ready"] * 20)]
    assert {answer.status_code for answer in answers} == {503}
    bring_back(site.postgres)
    site.wait_ready()
    assert [site.is_ready() for _ in range(3)] == [True] * 3


def bring_back(server: Process) -> None:
    """Let a server go on that was stopped, killed or frozen."""
    server.thaw()
    if not server.alive:
        server.start()
