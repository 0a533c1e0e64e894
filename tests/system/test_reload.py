"""Reloads, restarts and draining under load behind nginx: no request fails, and no event is lost."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from benchmarks.ledger.projects import Projects, new_projects
from tests.fixtures.load import Load
from tests.fixtures.servers.gunicorn import Service
from tests.fixtures.servers.nginx import Nginx
from tests.fixtures.servers.units import WebUnit
from tests.fixtures.servers.valkey import Valkey
from tests.fixtures.servers.waiting import free_port, wait_until

ACCEPTED = 202
# A few hundred requests a second, which leave the machine time to start the new workers.
PAUSE_S = 0.02
RELOADS = int(os.environ.get("RELOADS", "3"))
# Long enough for a few requests on a busy machine.
DRAIN_S = 2


@pytest.fixture(scope="module")
def projects() -> Iterator[Projects]:
    with new_projects(1) as made:
        yield made


class Site:
    """The settings of a service with a broker of its own, and checks of what that has stored."""

    def __init__(self, valkey: Valkey, projects: Projects, folder: Path) -> None:
        self.valkey = valkey
        self.api_key = projects.api_keys[0]
        self.file = folder / "vigilry.env"
        self.file.write_text("")
        self.settings: dict[str, str | int] = {
            "VIGILRY_REDIS_URL": valkey.url,
            "VIGILRY_DATABASE_URL": projects.database_url,
            "VIGILRY_ENV_FILE": str(self.file),
        }

    def load(self, nginx: Nginx) -> Load:
        """Prepare a load through nginx."""
        return Load(nginx.url, self.api_key, pause_s=PAUSE_S)

    def assert_nothing_failed(self, load: Load) -> None:
        """Check that every response was a 202, and that every event is on the stream once."""
        assert load.sent
        assert load.outcomes().keys() == {ACCEPTED}, load.outcomes()
        assert self.valkey.ask("XLEN", "vigilry:{0}:events") == len(load.sent)


@pytest.fixture
def site(projects: Projects, tmp_path: Path) -> Iterator[Site]:
    with Valkey() as valkey:
        yield Site(valkey, projects, tmp_path)


def reload(service: Service) -> None:
    """Reload a service, and wait until all workers are new."""
    old = set(service.worker_pids())
    service.reload()
    service.wait_for(
        lambda: len(new := set(service.worker_pids())) == service.workers and not new & old,
        "all workers are new",
    )


def test_reloads_under_load_fail_no_request(site: Site) -> None:
    with WebUnit(site.settings) as web, Nginx(web.bind) as nginx:
        with site.load(nginx) as load:
            for _ in range(RELOADS):
                reload(web)
        site.assert_nothing_failed(load)


def test_reloads_fail_no_request_of_a_sender_that_keeps_its_connection(site: Site) -> None:
    with WebUnit(site.settings, port=free_port()) as web:
        # Without nginx: a worker that ends says so in its last response on each connection.
        with Load(web.url, site.api_key, pause_s=PAUSE_S) as load:
            for _ in range(RELOADS):
                reload(web)
        site.assert_nothing_failed(load)


def test_restarting_two_hosts_behind_one_nginx_in_turn_fails_no_request(site: Site) -> None:
    with (
        WebUnit(site.settings, workers=1, port=free_port()) as one,
        WebUnit(site.settings, workers=1, port=free_port()) as other,
        Nginx(*(f"{host.bind} max_fails=1 fail_timeout=1s" for host in (one, other))) as nginx,
    ):
        with site.load(nginx) as load:
            for host in (one, other):
                host.restart()
        site.assert_nothing_failed(load)


def test_workers_replaced_by_max_requests_fail_no_request(site: Site) -> None:
    options = "--max-requests 150 --max-requests-jitter 50"
    with WebUnit(site.settings | {"GUNICORN_CMD_ARGS": options}) as web, Nginx(web.bind) as nginx:
        seen = set(web.worker_pids())

        def three_were_replaced() -> bool:
            seen.update(web.worker_pids())
            return len(seen) >= web.workers + 3

        with site.load(nginx) as load:
            web.wait_for(three_were_replaced, "three workers were replaced")
        site.assert_nothing_failed(load)


def test_a_reload_applies_new_settings_and_is_refused_when_one_is_invalid(site: Site) -> None:
    def is_limit_reported(limit: str) -> bool:
        refused = client.post("/ingest/events", content=b"x" * 5000, headers=headers)
        return refused.status_code == httpx.codes.REQUEST_ENTITY_TOO_LARGE and limit in refused.text

    headers = {"X-Api-Key": site.api_key, "Content-Type": "application/json"}
    site.file.write_text("VIGILRY_MAX_BODY_BYTES=2048")
    with WebUnit(site.settings) as web, Nginx(web.bind) as nginx, nginx.client() as client:
        assert is_limit_reported("2,048")
        with site.load(nginx) as load:
            workers = web.worker_pids()
            site.file.write_text("VIGILRY_MAX_BODY_BYTES=many")
            web.reload()
            web.wait_for(lambda: "Not reloaded" in web.log_text(), "the reload is refused")
            assert "VIGILRY_MAX_BODY_BYTES must be a whole number" in web.log_text()
            assert web.worker_pids() == workers
            site.file.write_text("VIGILRY_MAX_BODY_BYTES=4096")
            reload(web)
        assert is_limit_reported("4,096")
        site.assert_nothing_failed(load)


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_check_that_hangs_before_a_reload_delays_no_stop(site: Site, stop: signal.Signals) -> None:
    headers = {"X-Api-Key": site.api_key}
    with WebUnit(site.settings, workers=1) as web, web.client(timeout=10) as client:
        workers = web.worker_pids()
        site.file.unlink()
        # Opening it waits for a writer, and none comes.
        os.mkfifo(site.file)
        web.reload()
        web.wait_for(lambda: len(web.children()) > len(workers), "the check has begun")
        body = {"type": "meanwhile", "severity": "INFO", "message": "the old workers serve"}
        assert client.post("/ingest/events", json=body, headers=headers).status_code == ACCEPTED
        assert web.worker_pids()[0] == workers[0]
        os.kill(web.pid, stop)
        wait_until(lambda: not web.alive, 10, "it has stopped", log=web.log_text)
        assert "Not reloaded" in web.log_text()


def test_a_restart_on_a_systemd_socket_drains_first_and_fails_no_request(site: Site) -> None:
    with WebUnit(site.settings | {"VIGILRY_DRAIN_S": DRAIN_S}) as web, Nginx(web.bind) as nginx:
        with site.load(nginx) as load, nginx.client() as client:
            os.kill(web.pid, signal.SIGTERM)
            signalled_at = time.monotonic()
            web.wait_for(lambda: client.get("/health/ready").status_code != 200, "it is unready")
            assert client.get("/health/ready").json() == {"status": "draining"}
            assert client.get("/health/live").status_code == 200
            taken = load.outcomes()[ACCEPTED]
            web.wait_for(lambda: load.outcomes()[ACCEPTED] > taken, "it still accepts events")
            assert time.monotonic() - signalled_at < DRAIN_S
            wait_until(lambda: not web.alive, 10, "it has stopped", log=web.log_text)
            assert time.monotonic() - signalled_at > DRAIN_S
            # Requests that came meanwhile wait at the socket.
            web.start()
        site.assert_nothing_failed(load)


def test_a_second_term_skips_the_drain(site: Site) -> None:
    with WebUnit(site.settings | {"VIGILRY_DRAIN_S": 600}) as web:
        os.kill(web.pid, signal.SIGTERM)
        web.wait_for(lambda: "Draining for 600 s" in web.log_text(), "it drains")
        os.kill(web.pid, signal.SIGTERM)
        wait_until(lambda: not web.alive, 10, "it has stopped", log=web.log_text)


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_starting_worker_does_not_delay_a_stop(site: Site, stop: signal.Signals) -> None:
    with WebUnit(site.settings, workers=1) as web:
        starts = web.log_text().count("Booting worker")
        os.kill(web.worker_pids()[0], signal.SIGKILL)
        web.wait_for(lambda: web.log_text().count("Booting worker") > starts, "its successor starts")
        os.kill(web.pid, stop)
        wait_until(lambda: not web.alive, 10, "it has stopped", log=web.log_text)


def test_a_stopping_worker_finishes_its_requests(site: Site) -> None:
    with WebUnit(site.settings, workers=1) as web, web.client(timeout=10) as client:
        headers = {"X-Api-Key": site.api_key, "Content-Type": "application/json"}
        # The connection is open and idle when the worker is stopped.
        assert client.get("/health/live").headers.get("connection") == "keep-alive"
        os.kill(web.worker_pids()[0], signal.SIGTERM)
        body = {"type": "last", "severity": "INFO", "message": "on an open connection"}
        answer = client.post("/ingest/events", json=body, headers=headers)
        assert (answer.status_code, answer.headers["connection"]) == (ACCEPTED, "close")
