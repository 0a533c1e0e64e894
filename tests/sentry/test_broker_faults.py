"""Errors that SDKs report while the broker is away: dropped by default, stored once with the examples."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser
from sqlalchemy import Engine

from tests.examples.programs import EXAMPLES
from tests.fixtures.scrape import scrape
from tests.fixtures.servers.gunicorn import Service
from tests.fixtures.servers.process import Process
from tests.fixtures.servers.proxy import TcpProxy
from tests.fixtures.servers.valkey import Valkey
from tests.fixtures.servers.waiting import wait_until
from tests.sentry.bundling import bundle
from vigilry_ingest.administration.database.keys import dsn_of
from vigilry_ingest.api.schemas.sentry import SENTRY_RULE
from vigilry_ingest.api_keys.registry import mint

pytestmark = [pytest.mark.one_database, pytest.mark.slow]

_PAGE = "http://127.0.0.1:3001"
_DEFAULTS = Path(__file__).parent / "programs" / "two_errors.py"


class Site:
    """A service that reaches a broker of its own through a proxy, and the DSN of a project."""

    def __init__(self, valkey: Valkey, proxy: TcpProxy, service: Service, dsn: str) -> None:
        self.valkey = valkey
        self.proxy = proxy
        self.service = service
        self.dsn = dsn
        self._env = dict(os.environ) | {"SENTRY_DSN": dsn}

    def program(self, *command: str, cwd: Path) -> Process:
        """Describe a program with the DSN."""
        return Process(command, env=self._env, cwd=cwd)

    def refused(self) -> float:
        """Return how many requests were answered with 503."""
        return self._answers("503")

    def accepted(self) -> float:
        """Return how many requests were answered with 200."""
        return self._answers("200")

    def _answers(self, status: str) -> float:
        return scrape(self.service).value("vigilry_http_requests_total", status=status, endpoint=SENTRY_RULE)

    def stored(self) -> int:
        """Return how many events the broker has."""
        return int(self.valkey.ask("XLEN", "vigilry:{0}:events"))


@pytest.fixture
def site(service: Service, engine: Engine) -> Iterator[Site]:
    """Run a service with a broker of its own."""
    with Valkey(unix=False, tcp=True) as valkey, TcpProxy(valkey.address) as proxy:
        settings = {"VIGILRY_REDIS_URL": f"redis://{proxy.host}:{proxy.port}/0"}
        minted = mint(
            engine, f"project of {os.urandom(8).hex()}", "production", scopes=["send"], origins=[_PAGE]
        )
        with Service(service.settings | settings | {"VIGILRY_PUBLISH_TIMEOUT_MS": "300"}) as own:
            yield Site(valkey, proxy, own, dsn_of("", own.bind, minted.api_key))


@contextmanager
def killed(site: Site) -> Iterator[None]:
    """Kill the broker, and start it again."""
    site.valkey.kill()
    yield
    site.valkey.start()


@contextmanager
def unheard(site: Site) -> Iterator[None]:
    """Store what is sent, and let nobody hear of it."""
    site.proxy.swallow_replies()
    yield
    site.proxy.heal()


@pytest.mark.parametrize("fault", [killed, unheard])
@pytest.mark.parametrize("program", ["sentry_retry.py", "sentry_retry.mjs"])
def test_an_error_that_is_reported_while_the_broker_is_away_is_stored_once_when_it_is_back(
    site: Site, node: Path, program: str, fault: Callable[[Site], Any]
) -> None:
    command = [sys.executable, str(EXAMPLES / program)] if program.endswith(".py") else ["node", program]
    with site.program(*command, cwd=node) as sdk:
        with fault(site):
            sdk.wait_for(lambda: site.refused() > 0, "the error is refused")
        wait_until(lambda: site.stored() == 1 and site.accepted() > 0, 30, "it is stored", log=sdk.log_text)
    assert site.stored() == 1


def test_an_error_of_a_web_page_is_kept_by_the_offline_transport_until_it_is_stored(
    site: Site, node: Path, browser: Browser
) -> None:
    page = browser.new_page()
    page.route(f"{_PAGE}/", lambda route: route.fulfill(body="Shop", content_type="text/html"))
    page.goto(f"{_PAGE}/")
    page.add_script_tag(path=str(bundle(node, "offline_page.mjs")))
    with killed(site):
        page.evaluate("dsn => window.start(dsn)", site.dsn)
        wait_until(lambda: site.refused() > 0, 15, "the error is refused")
    wait_until(lambda: site.stored() == 1 and site.accepted() > 0, 30, "it is stored")
    page.close()
    assert site.stored() == 1


def test_an_sdk_with_its_defaults_drops_what_is_refused_and_reports_that_it_did(site: Site) -> None:
    with fault_of_the_first_error(site) as sdk:
        wait_until(lambda: not sdk.alive, 30, "the program ends", log=sdk.log_text)
    assert site.stored() == 1
    reports = scrape(site.service).value("vigilry_sentry_items_total", type="client_report")
    assert reports == 1, sdk.log_text()


@contextmanager
def fault_of_the_first_error(site: Site) -> Iterator[Process]:
    """Run a program that reports one error while the broker is away, and one when it is back."""
    back = site.service.folder / "back"
    site.valkey.kill()
    with site.program(sys.executable, str(_DEFAULTS), str(back), cwd=EXAMPLES) as sdk:
        sdk.wait_for(lambda: site.refused() > 0, "the first error is refused")
        site.valkey.start()
        back.touch()
        yield sdk
