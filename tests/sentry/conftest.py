"""What the tests of SDKs share: the SDKs of JavaScript, a browser, and an application in this process."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.examples.programs import EXAMPLES
from tests.fixtures.node import install
from tests.fixtures.servers.valkey import Valkey
from tests.fixtures.servers.waiting import require
from tests.sentry.posting import Poster
from vigilry_ingest.app import create_app
from vigilry_ingest.config.settings import Config

# The test makes its pages up, so that they have no address, which may not reach this machine otherwise.
FROM_NOWHERE = "--disable-features=LocalNetworkAccessChecks"


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the SDKs for Node and browsers in a folder of their own, beside the examples that use them."""
    folder = tmp_path_factory.mktemp("sdks") / "sdks"
    shutil.copytree(Path(__file__).parent / "sdks", folder)
    for example in EXAMPLES.glob("sentry_*.mjs"):
        shutil.copy(example, folder)
    return install(folder)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Run Chromium."""
    binary = shutil.which("chromium")
    if binary is None:
        require("chromium is not installed")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=binary, args=["--no-sandbox", FROM_NOWHERE])
        yield running
        running.close()


@pytest.fixture(scope="module")
def poster(valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Poster:
    """Make an application without the allowance of invalid requests."""
    folder: Path = tmp_path_factory.mktemp("cost")
    url = f"sqlite:///{folder}/vigilry.db"
    return Poster(create_app(Config(database_url=url, redis_url=valkey.url, invalid_requests_per_s=0)), url)
