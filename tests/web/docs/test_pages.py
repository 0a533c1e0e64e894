"""The pages, as programs and people without a browser get them."""

import re
from html import unescape
from http import HTTPStatus

import pytest

from tests.examples.programs import FILES as EXAMPLE_FILES
from tests.fixtures.sender import assert_refused
from tests.fixtures.servers.gunicorn import ROOT, Service
from vigilry_ingest.api.problems import PROBLEM_TYPES, page_of

pytestmark = pytest.mark.one_database

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
PUBLIC = "https://ingest.example.com:8443"
PAGES = [
    "/", "/docs", "/docs/errors", *(f"/docs/errors/{code}" for code in PROBLEM_TYPES),
    "/docs/examples", *(f"/docs/examples/{each.name}" for each in EXAMPLE_FILES),
]  # fmt: skip


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


@pytest.mark.parametrize("code", PROBLEM_TYPES)
def test_every_refusal_has_a_page_and_a_row_in_the_documentation(service: Service, code: str) -> None:
    with service.client() as client:
        told = client.get(f"/docs/errors/{code}").json()
        page = client.get(f"/docs/errors/{code}", headers=HTML).text
    refusal = PROBLEM_TYPES[code]
    assert (told["status"], told["retryable"], told["example"]["code"]) == (
        *refusal[:1],
        refusal.retryable,
        code,
    )
    assert refusal.title in page
    assert ("Yes:" in page) is refusal.retryable
    assert ("Retry-After" in page) is (refusal.status in (429, 503)), "only these have it"
    assert f"HTTP/1.1 {refusal.status} {HTTPStatus(refusal.status).phrase}\n" in page
    row = rf"^\| {refusal.status} \| [^|]*`{code}`[^|]* \|"
    assert re.search(row, (ROOT / "docs/api.md").read_text(), re.M), f"docs/api.md says nothing of {code}"


def test_the_documentation_names_no_refusal_that_there_is_not() -> None:
    rows = re.findall(r"^\| \d{3} \| ([^|]+) \|", (ROOT / "docs/api.md").read_text(), re.M)
    assert {code for row in rows for code in re.findall(r"`(\w+)`", row)} == set(PROBLEM_TYPES)


def test_what_nginx_refuses_by_itself_has_pages_and_is_told_as_they_tell_it() -> None:
    told = re.findall(
        r"'\"type\":\"([^\"]+)\",\"title\":\"([^\"]+)\",.*\"code\":\"(\w+)\",\"retryable\":(\w+)'",
        (ROOT / "deploy/nginx.conf").read_text(),
    )
    assert {"too_many_wrong_keys", "service_unavailable"} < {code for _, _, code, _ in told}
    for address, title, code, retryable in told:
        refusal = PROBLEM_TYPES[code]
        assert (address, title, retryable == "true") == (page_of(code), refusal.title, refusal.retryable)


def test_every_example_is_listed_and_shown_as_it_stands_in_its_file(service: Service) -> None:
    with service.client() as client:
        listed = client.get("/docs/examples").json()
        assert set(listed) == {each.name for each in EXAMPLE_FILES}
        for file in EXAMPLE_FILES:
            page = client.get(f"/docs/examples/{file.name}", headers=HTML).text
            (shown,) = re.findall(r"<pre[^>]*><code>(.*)</code></pre>", page, re.S)
            assert unescape(re.sub(r"<[^>]+>", "", shown)) == file.read_text()
            assert client.get(listed[file.name]["file"]).text == file.read_text()


def test_an_unknown_refusal_and_an_unknown_file_are_problems_for_programs(service: Service) -> None:
    with service.client() as client:
        for path in (
            "/docs/errors/nothing",
            "/docs/examples/package.json",
            "/docs/errors/<b>",
            "/docs/assets/x",
            "/docs/assets/../__init__.py",
        ):
            assert_refused(client.get(path), 404, "not_found")


@pytest.mark.parametrize(
    ("path", "all_of_them"), [("/docs/errors/<b>", "/docs/errors"), ("/docs/examples/x.py", "/docs/examples")]
)
def test_an_unknown_refusal_or_example_is_a_page_for_people_that_leads_to_all_of_them(
    service: Service, path: str, all_of_them: str
) -> None:
    with service.client() as client:
        answer = client.get(path, headers=HTML)
        counted = client.get("/metrics").text
    assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert f'<a href="{all_of_them}">See all' in answer.text
    assert "<b>" not in answer.text
    assert f'code="not_found",endpoint="{all_of_them}' in counted


@pytest.mark.parametrize("path", ["/", "/docs/examples"])
@pytest.mark.parametrize(
    ("host", "named"),
    [
        ("ingest.example.com:8080", "http://ingest.example.com:8080"),
        ("[::1]:4100", "http://[::1]:4100"),
        *[(host, "http://127.0.0.1:4100") for host in ("a b", "a'$(id)", "", "a:99999999")],
    ],
)
def test_a_page_names_the_host_that_it_was_asked_by_and_no_cache_keeps_it_for_others(
    service: Service, path: str, host: str, named: str
) -> None:
    with service.client() as client:
        answer = client.get(path, headers=HTML | {"Host": host})
    assert re.findall(r"(?:curl -i |INGEST_URL=)(https?://[^/\s]*)", unescape(answer.text)) == [named]
    assert answer.headers["cache-control"] == "max-age=300, private"


def test_with_a_public_url_the_pages_and_the_description_name_it_to_everyone(service: Service) -> None:
    with Service(service.settings | {"VIGILRY_PUBLIC_URL": PUBLIC}) as public, public.client() as client:
        for path in ("/", "/docs/examples"):
            answer = client.get(path, headers=HTML | {"Host": "other.example"})
            assert PUBLIC in answer.text
            assert "http://" not in answer.text
            assert "other.example" not in answer.text
            assert answer.headers["cache-control"] == "public, max-age=300"
        assert client.get("/openapi.json").json()["servers"][0]["url"] == PUBLIC


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


def test_large_files_have_a_compressed_copy_for_those_who_accept_it(service: Service) -> None:
    copies = sorted((ROOT / "vigilry_ingest/web/docs/assets").rglob("*.gz"))
    assert [copy.stem for copy in copies] == ["swagger-ui-bundle.js", "swagger-ui.css"]
    with service.client() as client:
        for copy in copies:
            path = f"/docs/assets/{copy.parent.name}/{copy.stem}"
            plain = client.get(path, headers={"Accept-Encoding": "identity, gzip;q=0"})
            packed = client.get(path, headers={"Accept-Encoding": "gzip"})
            assert (plain.status_code, packed.status_code) == (200, 200)
            assert "content-encoding" not in plain.headers
            assert packed.headers["content-encoding"] == "gzip"
            assert int(packed.headers["content-length"]) == copy.stat().st_size
            # The client has decompressed it.
            assert plain.content == packed.content == copy.with_suffix("").read_bytes()
            assert plain.headers["content-type"] == packed.headers["content-type"]
            assert plain.headers["etag"] != packed.headers["etag"]
            assert plain.headers["vary"] == packed.headers["vary"] == "Accept-Encoding"


def test_every_answer_forbids_guessing_its_type(service: Service) -> None:
    with service.client() as client:
        answers = [
            client.get("/docs"),
            client.get("/docs/assets/style.css"),
            client.get("/health/live"),
            client.get("/metrics"),
            client.get("/nowhere"),
            client.put("/ingest/events"),
            client.options("/docs"),
            client.post("/ingest/events", json={}),
        ]
    for answer in answers:
        assert answer.headers.get_list("x-content-type-options") == ["nosniff"], answer.url


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
