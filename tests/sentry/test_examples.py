"""The examples with Sentry's SDKs report their errors."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser
from sqlalchemy import Engine

from tests.examples.programs import EXAMPLES
from tests.fixtures.sender import Sender
from tests.fixtures.servers.gunicorn import Service
from tests.fixtures.servers.valkey import Valkey
from tests.fixtures.servers.waiting import wait_until
from tests.sentry.bundling import bundle
from vigilry_ingest.administration.database.keys import dsn_of
from vigilry_ingest.api_keys.registry import mint

pytestmark = [pytest.mark.one_database, pytest.mark.slow]

_PAGE = "http://127.0.0.1:3001"


def the_error(sender: Sender) -> tuple[str, str]:
    """Return the type and the message of the only entry of a sender, which has frames."""
    (entry,) = sender.published()
    payload: dict[str, Any] = json.loads(entry[b"payload"])
    assert payload["exception"]["values"][-1]["stacktrace"]["frames"]
    assert (entry[b"kind"], entry[b"severity"]) == (b"sentry", b"ERROR")
    return entry[b"type"].decode(), entry[b"message"].decode()


@pytest.mark.parametrize(
    ("program", "exit_code", "error"),
    [
        ("sentry_python.py", 1, ("ZeroDivisionError", "division by zero")),
        ("sentry_retry.py", 0, ("ZeroDivisionError", "division by zero")),
        ("sentry_node.mjs", 0, ("ReferenceError", "foo is not defined")),
    ],
)
def test_an_example_reports_its_error(
    sender: Sender, node: Path, program: str, exit_code: int, error: tuple[str, str]
) -> None:
    env = dict(os.environ) | {"SENTRY_DSN": dsn_of("", sender.service.bind, sender.minted.api_key)}
    command = [sys.executable, str(EXAMPLES / program)] if program.endswith(".py") else ["node", program]
    done = subprocess.run(command, cwd=node, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == exit_code, done.stderr
    assert the_error(sender) == error


def test_the_example_of_a_web_page_reports_its_error(
    service: Service, valkey: Valkey, engine: Engine, node: Path, browser: Browser
) -> None:
    minted = mint(engine, "of an example", "production", scopes=["send"], origins=[_PAGE])
    sender = Sender(service, valkey, minted)
    dsn = json.dumps(dsn_of("", service.bind, minted.api_key))
    script = bundle(node, "sentry_browser.mjs", f"--define:process.env.SENTRY_DSN={dsn}")
    page = browser.new_page()
    page.route(f"{_PAGE}/", lambda route: route.fulfill(body="<h1>Shop</h1>", content_type="text/html"))
    page.goto(f"{_PAGE}/")
    page.add_script_tag(path=str(script))
    wait_until(sender.published, 15, "the page's error is published")
    page.close()
    assert the_error(sender) == ("Error", "Sentry Test Error")
    sender.close()
