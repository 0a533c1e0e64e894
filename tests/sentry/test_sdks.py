"""Real SDKs, unmodified: what they send is stored with its type, message, frames and correlation."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser
from sqlalchemy import Engine

from tests.fixtures.sender import Sender
from tests.fixtures.servers.gunicorn import ROOT, Service
from tests.fixtures.servers.valkey import Valkey
from tests.fixtures.servers.waiting import wait_until
from tests.sentry.bundling import bundle
from vigilry_ingest.administration.database.keys import dsn_of
from vigilry_ingest.api_keys.projects import limit
from vigilry_ingest.api_keys.registry import mint
from vigilry_ingest.domain.event import Quota

pytestmark = [pytest.mark.one_database, pytest.mark.slow]

PROGRAMS = Path(__file__).parent / "programs"


def run(sender: Sender, *command: str, cwd: Path = ROOT) -> None:
    """Run a program with the DSN of a sender."""
    env = dict(os.environ) | {"SENTRY_DSN": dsn_of("", sender.service.bind, sender.minted.api_key)}
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def the_error(sender: Sender, type_: str, message: str) -> dict[str, Any]:
    """Check the only entry of a sender, and return the payload."""
    (entry,) = sender.published()
    assert (entry[b"kind"], entry[b"severity"]) == (b"sentry", b"ERROR")
    assert (entry[b"type"].decode(), entry[b"message"].decode()) == (type_, message)
    correlation = json.loads(entry[b"correlation"])
    assert (correlation["user_id"], correlation["order_id"]) == ("usr_99", "ord_4421")
    assert correlation["release"] == "shop@1.4.2"
    assert len(correlation["trace_id"]) == 32
    payload: dict[str, Any] = json.loads(entry[b"payload"])
    assert payload["exception"]["values"][-1]["stacktrace"]["frames"]
    return payload


@pytest.mark.parametrize("program", sorted(each.name for each in PROGRAMS.glob("*_app.py")))
def test_an_error_of_python_is_stored(sender: Sender, program: str) -> None:
    run(sender, sys.executable, str(PROGRAMS / program))
    payload = the_error(sender, "KeyError", "'cart'")
    assert payload["platform"] == "python"
    assert sender.published()[0][b"source"] == b"web-1"


def test_an_error_of_express_is_stored(sender: Sender, node: Path) -> None:
    run(sender, "node", "express.mjs", cwd=node)
    payload = the_error(sender, "RangeError", "no cart")
    assert payload["platform"] == "node"


def test_an_error_of_a_web_page_is_stored_and_its_key_is_only_for_its_origin(
    service: Service, valkey: Valkey, engine: Engine, node: Path, browser: Browser
) -> None:
    page_script = bundle(node, "page.mjs")
    page = browser.new_page()
    page.route(
        "http://127.0.0.1:3001/", lambda route: route.fulfill(body="<h1>Shop</h1>", content_type="text/html")
    )
    page.route("http://127.0.0.1:3002/", lambda route: route.fulfill(body="Other", content_type="text/html"))
    minted = mint(engine, "of a page", "production", scopes=["send"], origins=["http://127.0.0.1:3001"])
    sender = Sender(service, valkey, minted)
    # A page of another origin cannot read the refusal, so its request fails.
    for origin, event in (
        ("http://127.0.0.1:3001/", "response"),
        ("http://127.0.0.1:3002/", "requestfailed"),
    ):
        page.goto(origin)
        page.add_script_tag(path=str(page_script))
        with page.expect_event(event, lambda each: "/envelope/" in each.url, timeout=15_000):
            page.evaluate("dsn => window.start(dsn)", dsn_of("", service.bind, minted.api_key))
        wait_until(lambda: len(sender.published()) == 1, 5, "the page's error is published")
    page.close()
    assert the_error(sender, "RangeError", "no cart")["platform"] == "javascript"
    sender.close()


def test_an_sdk_in_a_loop_obeys_the_limit(sender: Sender, engine: Engine) -> None:
    limit(engine, sender.minted.project_id, Quota(5, 5))
    run(sender, sys.executable, str(PROGRAMS / "loop.py"))
    # Within two seconds: the burst, and what the rate allows.
    assert 5 <= len(sender.published()) <= 20
