"""A page in real Chromium: what it complains of, whom it asks, and whether it can be read."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Browser, ConsoleMessage, Page, Request, ViewportSize

Theme = Literal["light", "dark"]
SIZES: dict[str, ViewportSize] = {
    "desktop": {"width": 1280, "height": 900},
    "phone": {"width": 390, "height": 844},
}
# Where a developer wants to look at the pages.
SHOTS = os.environ.get("SCREENSHOTS")
_LEGIBILITY = (Path(__file__).parent / "legibility.js").read_text()


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
        """Return whether nothing hangs out at the side."""
        return bool(
            self.page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        )

    def illegible(self, selector: str = "body") -> list[str]:
        """Return which texts within an element have too little contrast, are cut off or covered."""
        told: list[str] = self.page.locator(selector).first.evaluate(_LEGIBILITY)
        return told


@contextmanager
def visiting(browser: Browser, size: str = "desktop", theme: Theme = "light") -> Iterator[Visit]:
    """Open a page, and look at the end that it complained of nothing."""
    page = browser.new_page(viewport=SIZES[size], color_scheme=theme)
    visit = Visit(page)
    try:
        yield visit
        assert visit.complaints == []
    finally:
        page.close()


def authorize(page: Page, api_key: str) -> None:
    """Return the reference a key."""
    page.get_by_role("button", name="Authorize").first.click()
    page.locator(".modal-ux input").first.fill(api_key)
    page.locator(".modal-ux .auth-btn-wrapper button[type=submit]").first.click()
    page.locator(".modal-ux .btn-done").first.click()


def send(page: Page, operation: str, *, media: str | None = None) -> Any:
    """Send an operation's example from the reference, and return the answer."""
    block = page.locator(f"#operations-Ingestion-{operation}")
    block.locator(".opblock-summary-control").click()
    if media is not None:
        block.get_by_label("Request content type").select_option(media)
    with page.expect_response("**/ingest/*") as sent:
        block.locator("button.execute").click()
    block.locator(".live-responses-table").wait_for()
    return sent.value
