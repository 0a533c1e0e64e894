"""The pages in real Chromium: they render, send, complain of nothing, and fit a phone in both themes."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, ViewportSize, sync_playwright

from tests.sender import Sender
from tests.servers.gunicorn import Service
from tests.servers.waiting import require

SIZES: dict[str, ViewportSize] = {
    "desktop": {"width": 1280, "height": 900},
    "phone": {"width": 390, "height": 844},
}
# Where a developer wants to look at the pages.
SHOTS = os.environ.get("SCREENSHOTS")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    binary = shutil.which("chromium")
    if binary is None:
        require("chromium is not installed")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=binary, args=["--no-sandbox"])
        yield running
        running.close()


class Visit:
    """A page that notes what it complains of and whom it asks."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.hosts: set[str] = set()
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", self._note)

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def _note(self, request: Request) -> None:
        if request.url.startswith("http"):
            self.hosts.add(request.url.split("/")[2])

    def shoot(self, name: str) -> None:
        """Take a picture, where somebody wants it."""
        if SHOTS:
            self.page.screenshot(path=str(Path(SHOTS) / f"{name}.png"), full_page=True)

    def is_as_wide_as_its_window(self) -> bool:
        """Tell whether nothing hangs out at the side."""
        return bool(
            self.page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        )


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/", "Your first event"),
        ("/docs", "Send an event"),
        ("/docs/errors", "stream_full"),
        ("/docs/errors/invalid_event", "What to do"),
        ("/docs/examples", "retry.py"),
        ("/docs/examples/retry.py", "The file alone"),
    ],
)
def test_a_page_renders_in_each_theme_and_size_and_complains_of_nothing(
    browser: Browser, service: Service, theme: Literal["light", "dark"], size: str, path: str, says: str
) -> None:
    page = browser.new_page(viewport=SIZES[size], color_scheme=theme)
    visit = Visit(page)
    page.goto(service.url + path)
    page.get_by_text(says).first.wait_for()
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(255, 255, 255)" if theme == "light" else "rgb(20, 24, 31)")
    assert visit.is_as_wide_as_its_window()
    visit.shoot(f"{path.strip('/').replace('/', '-') or 'home'}-{theme}-{size}")
    assert visit.complaints == []
    assert visit.hosts == {service.bind}
    page.close()


def test_a_request_is_sent_from_the_page_with_ones_own_key(
    browser: Browser, service: Service, sender: Sender
) -> None:
    page = browser.new_page(viewport=SIZES["desktop"])
    visit = Visit(page)
    page.goto(service.url + "/docs")
    page.get_by_role("button", name="Authorize").first.click()
    page.get_by_role("dialog").or_(page.locator(".modal-ux")).locator("input").first.fill(
        sender.minted.api_key
    )
    page.locator(".modal-ux .auth-btn-wrapper button[type=submit]").click()
    page.locator(".modal-ux .btn-done").click()
    page.locator("#operations-Sending-sendEvent .opblock-summary-control").click()
    with page.expect_response("**/ingest/events") as sent:
        page.locator("#operations-Sending-sendEvent button.execute").click()
    assert sent.value.status == 202, sent.value.text()
    page.locator("#operations-Sending-sendEvent .live-responses-table").wait_for()
    visit.shoot("sent")
    assert visit.complaints == []
    (entry,) = sender.published()
    assert entry[b"type"] == b"checkout_failed"
    page.close()


def test_a_page_of_an_allowed_origin_sends_and_another_cannot(
    browser: Browser, service: Service, sender: Sender
) -> None:
    send = """([url, key]) => fetch(url + "/ingest/events", {
      method: "POST",
      headers: {"X-Api-Key": key, "Content-Type": "application/json"},
      body: JSON.stringify({type: "from_a_page", severity: "INFO", message: "hello"}),
    }).then(answer => answer.status, () => "refused by the browser")"""
    with Service(service.settings | {"VIGILRY_CORS_ORIGINS": service.url}) as allowing:
        page = browser.new_page()
        # A page without a policy of its own.
        page.goto(service.url + "/health/live")
        key = sender.minted.api_key
        assert page.evaluate(send, [allowing.url, key]) == 202
        page.goto(allowing.url + "/health/live")
        assert page.evaluate(send, [service.url, key]) == "refused by the browser"
        page.close()
    assert [json.loads(b'"' + entry[b"type"] + b'"') for entry in sender.published()] == ["from_a_page"]
