"""The pages in real Chromium: they render, send, complain of nothing, and can be read at any size."""

import json

import pytest
from playwright.sync_api import Browser

from tests.fixtures.sender import Sender
from tests.fixtures.servers.gunicorn import Service
from tests.web.docs.browser import SIZES, Theme, authorize, send, visiting

pytestmark = pytest.mark.one_database


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
        ("/docs/examples/retry.py", "Raw file"),
    ],
)
def test_a_page_renders_in_each_theme_and_size_and_complains_of_nothing(
    browser: Browser, service: Service, theme: Theme, size: str, path: str, says: str
) -> None:
    with visiting(browser, size, theme) as visit:
        visit.page.goto(service.url + path)
        visit.page.get_by_text(says).first.wait_for()
        ground = visit.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert ground == ("rgb(255, 255, 255)" if theme == "light" else "rgb(20, 24, 31)")
        assert visit.is_as_wide_as_its_window()
        visit.shoot(f"{path.strip('/').replace('/', '-') or 'home'}-{theme}-{size}")
        assert visit.illegible() == []
        assert visit.hosts == {service.bind}


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_a_request_is_sent_from_the_page_with_ones_own_key_and_all_of_it_can_be_read(
    browser: Browser, service: Service, sender: Sender, theme: Theme, size: str
) -> None:
    with visiting(browser, size, theme) as visit:
        visit.page.goto(service.url + "/docs")
        visit.page.get_by_role("button", name="Authorize").first.click()
        assert visit.illegible(".modal-ux") == []
        visit.page.locator(".modal-ux .btn-done").first.click()
        authorize(visit.page, sender.minted.api_key)
        answer = send(visit.page, "sendEvent")
        assert answer.status == 202, answer.text()
        visit.shoot(f"sent-{theme}-{size}")
        assert visit.illegible() == []
        assert visit.is_as_wide_as_its_window()
    (entry,) = sender.published()
    assert entry[b"type"] == b"checkout_failed"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_schemas_and_parameters_can_be_read_on_a_phone(
    browser: Browser, service: Service, theme: Theme
) -> None:
    with visiting(browser, "phone", theme) as visit:
        visit.page.goto(service.url + "/docs")
        for operation in ("Ingestion-sendBatch", "Jobs-getJob"):
            block = visit.page.locator(f"#operations-{operation}")
            block.locator(".opblock-summary-control").click()
            block.locator(".responses-table .tablinks", has_text="Schema").first.click()
        block = visit.page.locator("#operations-Ingestion-sendBatch")
        block.get_by_label("Request content type").select_option("application/x-ndjson")
        visit.shoot(f"schemas-{theme}")
        assert visit.illegible() == []
        assert visit.is_as_wide_as_its_window()
        described = block.locator(".response-col_description p").first.bounding_box()
        assert described is not None
        assert described["width"] > SIZES["phone"]["width"] / 2


@pytest.mark.parametrize("media", ["application/json", "application/x-ndjson"])
def test_both_forms_of_a_batch_are_sent_from_the_page(
    browser: Browser, service: Service, sender: Sender, media: str
) -> None:
    with visiting(browser) as visit:
        visit.page.goto(service.url + "/docs")
        authorize(visit.page, sender.minted.api_key)
        answer = send(visit.page, "sendBatch", media=media)
        assert answer.request.headers["content-type"] == media
        assert answer.json()["accepted"] == 4


def test_lines_that_a_reader_types_are_sent_as_they_are(
    browser: Browser, service: Service, sender: Sender
) -> None:
    line = '{"type": "typed", "severity": "INFO", "message": "m"}'
    with visiting(browser) as visit:
        visit.page.goto(service.url + "/docs")
        authorize(visit.page, sender.minted.api_key)
        send(visit.page, "sendBatch", media="application/x-ndjson")
        for typed in (line, f"{line}\n{line}"):
            visit.page.locator("#operations-Ingestion-sendBatch textarea").fill(typed)
            with visit.page.expect_response("**/ingest/batch") as sent:
                visit.page.locator("#operations-Ingestion-sendBatch button.execute").click()
            assert sent.value.request.post_data == typed
            assert sent.value.status == 202


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
