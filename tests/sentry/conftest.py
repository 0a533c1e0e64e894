"""What the tests of SDKs share: the SDKs for JavaScript, installed once, and a browser."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.examples.programs import EXAMPLES
from tests.fixtures.node import install
from tests.fixtures.servers.waiting import require

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


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Run Chromium."""
    binary = shutil.which("chromium")
    if binary is None:
        require("chromium is not installed")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=binary, args=["--no-sandbox", FROM_NOWHERE])
        yield running
        running.close()
