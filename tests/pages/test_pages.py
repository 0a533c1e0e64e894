"""The pages, as programs and people without a browser get them; and who may call from a browser."""

import re
from html import unescape

import pytest

from tests.conftest import NewSender
from tests.examples.programs import FILES as EXAMPLE_FILES
from tests.sender import EXAMPLES, Sender, assert_refused
from tests.servers.gunicorn import ROOT, Service
from tests.servers.valkey import Valkey
from vigilry_ingest.refusals import REFUSALS

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
PAGES = [
    "/", "/docs", "/docs/errors", *(f"/docs/errors/{code}" for code in REFUSALS),
    "/docs/examples", *(f"/docs/examples/{each.name}" for each in EXAMPLE_FILES),
]  # fmt: skip
ORIGIN = "https://app.example.com"


@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_html_that_takes_nothing_from_another_host(service: Service, path: str) -> None:
    with service.client() as client:
        answer = client.get(path, headers=HTML)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'; script-src 'self';" in policy
        for address in re.findall(r'(?:src|href)="([^"]+)"', answer.text):
            assert address.startswith("/"), address
            assert client.get(address, headers=HTML).status_code == 200, address
        assert "<script>" not in answer.text


@pytest.mark.parametrize("code", REFUSALS)
def test_every_refusal_has_a_page_and_a_row_in_the_documentation(service: Service, code: str) -> None:
    with service.client() as client:
        told = client.get(f"/docs/errors/{code}").json()
        page = client.get(f"/docs/errors/{code}", headers=HTML).text
    refusal = REFUSALS[code]
    assert (told["status"], told["retryable"], told["example"]["code"]) == (
        *refusal[:1],
        refusal.retryable,
        code,
    )
    assert refusal.title in page
    row = rf"^\| {refusal.status} \| [^|]*`{code}`[^|]* \|"
    assert re.search(row, (ROOT / "docs/api.md").read_text(), re.M), f"docs/api.md says nothing of {code}"


def test_the_documentation_names_no_refusal_that_there_is_not() -> None:
    rows = re.findall(r"^\| \d{3} \| ([^|]+) \|", (ROOT / "docs/api.md").read_text(), re.M)
    assert {code for row in rows for code in re.findall(r"`(\w+)`", row)} == set(REFUSALS)


def test_every_example_is_listed_and_shown_as_it_stands_in_its_file(service: Service) -> None:
    with service.client() as client:
        listed = client.get("/docs/examples").json()
        assert set(listed) == {each.name for each in EXAMPLE_FILES}
        for file in EXAMPLE_FILES:
            page = client.get(f"/docs/examples/{file.name}", headers=HTML).text
            (shown,) = re.findall(r"<pre[^>]*><code>(.*)</code></pre>", page, re.S)
            assert unescape(re.sub(r"<[^>]+>", "", shown)) == file.read_text()
            assert client.get(listed[file.name]["file"]).text == file.read_text()


def test_an_unknown_refusal_and_an_unknown_file_are_problems(service: Service) -> None:
    with service.client() as client:
        for path in (
            "/docs/errors/nothing",
            "/docs/examples/package.json",
            "/docs/errors/<b>",
            "/docs/assets/x",
            "/docs/assets/../__init__.py",
        ):
            assert_refused(client.get(path, headers=HTML), 404, "not_found")


def test_the_home_page_is_an_object_for_programs(service: Service) -> None:
    with service.client() as client:
        for headers in ({}, {"Accept": "application/json"}, {"Accept": "*/*"}):
            answer = client.get("/", headers=headers)
            assert answer.json()["name"] == "Vigilry Ingest"
            assert answer.headers["vary"] == "Accept"
            for name in ("docs", "errors", "examples", "openapi", "asyncapi", "health"):
                assert client.get(answer.json()[name]).status_code == 200


def test_versioned_files_are_kept_for_a_year(service: Service) -> None:
    with service.client() as client:
        answer = client.get("/docs/assets/swagger-ui-5.35.0/swagger-ui.css")
    assert "max-age=31536000" in answer.headers["cache-control"]


def test_the_pages_can_be_switched_off(service: Service) -> None:
    with Service(service.settings | {"VIGILRY_DOCS": "off"}) as silent, silent.client() as client:
        for path in (
            "/",
            "/docs",
            "/docs/errors",
            "/openapi.json",
            "/asyncapi.json",
            "/docs/assets/style.css",
        ):
            assert_refused(client.get(path), 404, "not_found")
        assert client.get("/health/live").status_code == 200


def test_no_page_of_another_origin_may_send_unless_it_is_allowed(sender: Sender) -> None:
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
    assert_refused(sender.http.options("/ingest/events", headers=asked), 401, "missing_api_key")
    answer = sender.post("events", EXAMPLES["events"], headers={"Origin": ORIGIN})
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_allowed_origins_send_from_a_browser_and_others_do_not(
    service: Service, valkey: Valkey, new_sender: NewSender
) -> None:
    allowed = service.settings | {"VIGILRY_CORS_ORIGINS": f"{ORIGIN}, http://localhost:3000"}
    with Service(allowed) as open_to_some:
        sender = Sender(open_to_some, valkey, new_sender().minted)
        asked = {
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "x-api-key, content-type, idempotency-key",
        }
        mine, other = (
            sender.http.options("/ingest/events", headers=asked | {"Origin": origin})
            for origin in (ORIGIN, "https://evil.example")
        )
        assert mine.status_code == 200
        assert mine.headers["access-control-allow-origin"] == ORIGIN
        assert {"x-api-key", "content-type", "idempotency-key"} <= set(
            mine.headers["access-control-allow-headers"].lower().split(", ")
        )
        assert mine.headers["access-control-max-age"] == "86400"
        assert "Origin" in mine.headers["vary"]
        assert "access-control-allow-origin" not in other.headers
        for body, status in ((EXAMPLES["events"], 202), ({}, 400)):
            answer = sender.post("events", body, headers={"Origin": ORIGIN})
            assert answer.status_code == status
            assert answer.headers["access-control-allow-origin"] == ORIGIN
            assert "Retry-After" in answer.headers["access-control-expose-headers"]
            assert "access-control-allow-credentials" not in answer.headers
        without = sender.http.options("/ingest/events")
        assert not [name for name in without.headers if name.startswith("access-control")]
        sender.close()


def test_any_origin_may_be_allowed(service: Service) -> None:
    allowed = service.settings | {"VIGILRY_CORS_ORIGINS": "*"}
    with Service(allowed) as open_to_all, open_to_all.client() as client:
        answer = client.post("/ingest/events", json={}, headers={"Origin": ORIGIN})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (401, "*")
