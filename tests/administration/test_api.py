"""Requests of the admin API: all faults at once, bounded pages, actors on record, secrets shown once."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from sqlalchemy import Engine, delete

from tests.fixtures.databases import dispose, migrate
from tests.fixtures.sender import assert_refused
from tests.fixtures.servers.admin import AdminApi, an_admin_key
from tests.fixtures.servers.postgres import Postgres
from tests.fixtures.servers.valkey import Valkey
from tests.fixtures.servers.waiting import wait_until
from vigilry_ingest.api_keys.admin_keys import AUDIT, PROJECTS
from vigilry_ingest.domain.ids import new_ulid
from vigilry_ingest.storage.audit_log import changes_on
from vigilry_ingest.storage.audit_queries import AuditFilter, newest_entries
from vigilry_ingest.storage.engine import make_engine
from vigilry_ingest.storage.models import Project


def faults(answer: httpx.Response) -> dict[str, str]:
    """Return the codes of validation errors by pointer."""
    problem: dict[str, Any] = assert_refused(answer, 400, "invalid_request")
    return {each["pointer"]: each["code"] for each in problem["errors"]}


def test_all_faults_of_a_body_are_listed_with_their_pointers(admin: httpx.Client) -> None:
    wrong = {"per_second": 0, "burst": 1.5, "bytes_per_second": True, "retention_days": "9", "archived": None}
    assert faults(admin.put("/admin/projects/x", json=wrong | {"nmae": "x", "a/b": 1})) == {
        "/per_second": "out_of_range",
        "/burst": "wrong_type",
        "/bytes_per_second": "wrong_type",
        "/retention_days": "wrong_type",
        "/archived": "required",
        "/nmae": "unknown_field",
        "/a~1b": "unknown_field",
    }
    key = {"scopes": [], "origins": ["x"], "environment": "prod"}
    assert faults(admin.post("/admin/keys", json=key)) == {
        "/project": "required", "/scopes": "not_allowed", "/origins": "invalid",
        "/environment": "not_allowed",
    }  # fmt: skip
    source = {
        "provider": "github",
        "severities": {"push": "LOUD"},
        "secret": 1,
        "options": {"a": 1, "encoding": "octal"},
    }
    assert faults(admin.post("/admin/sources", json=source)) == {
        "/project": "required", "/severities/push": "not_allowed", "/options/a": "unknown_field",
        "/options/encoding": "not_allowed",
        "/secret": "wrong_type",
    }  # fmt: skip
    fixed = {"project": "x", "provider": "github", "secret": "x", "options": {"header": "X-Sig"}}
    assert faults(admin.post("/admin/sources", json=fixed)) == {"/options": "invalid"}


@pytest.mark.parametrize(
    ("scrubbing", "pointer"),
    [
        ({"fields": ["a/b"]}, "/scrubbing"),
        ({}, "/scrubbing"),
        ({"fields": "x"}, "/scrubbing/fields"),
        ({"patterns": ["x"]}, "/scrubbing/patterns"),
        ({"fields": ["x"], "colour": 1}, "/scrubbing/colour"),
        ([], "/scrubbing"),
    ],
)
def test_rules_of_scrubbing_are_checked(admin: httpx.Client, scrubbing: object, pointer: str) -> None:
    assert list(faults(admin.put("/admin/projects/x", json={"scrubbing": scrubbing}))) == [pointer]


def test_a_query_is_checked_like_a_body(admin: httpx.Client) -> None:
    assert faults(admin.get("/admin/projects?limit=0&page=2")) == {
        "/limit": "out_of_range", "/page": "unknown_field",
    }  # fmt: skip
    assert faults(admin.get("/admin/audit?since=yesterday&limit=1001&after=x")) == {
        "/since": "invalid", "/limit": "out_of_range", "/after": "wrong_type",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "projects/x"), ("PATCH", "projects/x"), ("POST", "keys"), ("PUT", "keys/by-name/x/y"),
        ("POST", "keys/x/rotate"), ("POST", "keys/x/revoke"), ("POST", "sources"),
        ("PUT", "sources/by-name/x/y"), ("PATCH", "sources/x"), ("DELETE", "sources/x"),
        ("POST", "sources/x/rotate"), ("POST", "secrets/rotate"),
    ],
)  # fmt: skip
def test_a_change_with_a_query_that_it_does_not_know_is_refused(
    admin: httpx.Client, method: str, path: str
) -> None:
    answer = admin.request(method, f"/admin/{path}?dry_run=true", json={})
    assert faults(answer) == {"/dry_run": "unknown_field"}


@pytest.mark.parametrize(
    ("content", "headers", "status", "code"),
    [
        (b"{", {}, 400, "malformed_json"),
        (b'{"a": 1, "a": 2}', {}, 400, "malformed_json"),
        (b'{"archived": "\\ud800"}', {}, 400, "malformed_json"),
        (b"[]", {}, 400, "invalid_request"),
        (b"{}", {"Content-Type": "text/plain"}, 415, "unsupported_media_type"),
        (b"{}" + b" " * 1_100_000, {}, 413, "body_too_large"),
    ],
)
def test_a_body_that_is_none_is_refused(
    admin: httpx.Client, content: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    sent = {"Content-Type": "application/json"} | headers
    assert_refused(admin.put("/admin/projects/x", content=content, headers=sent), status, code)


def test_lists_come_in_pages(admin: httpx.Client) -> None:
    project = f"project {new_ulid()}"
    ids = [admin.post("/admin/keys", json={"project": project}).json()["key_id"] for _ in range(5)]
    pages: list[list[str]] = []
    after: str | None = ""
    while after is not None:
        query: dict[str, str | int] = {"project": project, "limit": 2, "after": after}
        page = admin.get("/admin/keys", params=query).json()
        pages.append([each["key_id"] for each in page["items"]])
        after = page["next"]
    assert pages == [ids[:2], ids[2:4], ids[4:]]
    newest = admin.get("/admin/audit?limit=3").json()
    older = admin.get("/admin/audit", params={"limit": 3, "after": newest["next"]}).json()
    numbers = [each["id"] for each in newest["items"] + older["items"]]
    assert numbers == list(range(numbers[0], numbers[0] - 6, -1))


def test_a_key_is_shown_once_and_not_kept_by_caches(admin: httpx.Client) -> None:
    minted = admin.post("/admin/keys", json={"project": f"project {new_ulid()}"})
    key = minted.json()["api_key"]
    assert minted.headers["cache-control"] == "no-store"
    rotated = admin.post(f"/admin/keys/{minted.json()['key_id']}/rotate", json={}).json()
    assert rotated["old_key_id"] == minted.json()["key_id"]
    for path in ("/admin/keys?limit=1000", "/admin/audit?limit=1000"):
        listed = admin.get(path).text
        assert key not in listed
        assert rotated["api_key"] not in listed


def test_the_name_that_a_client_gives_is_marked_as_a_claim(api: AdminApi, own_engine: Engine) -> None:
    key = an_admin_key(own_engine, [PROJECTS])
    for given, recorded in (("ada", "ada"), (quote("Zoë as root"), "Zoë as root")):
        with api.client(key, **{"X-Vigilry-Actor": given}) as client:
            assert client.put(f"/admin/projects/{new_ulid()}", json={}).status_code == 201
        actor = newest_entries(own_engine, AuditFilter(), 1)[0].actor
        assert actor.startswith("admin-key:ci-")
        assert actor.endswith(f" as {recorded}")
    for wrong in ("", "%0A", "x" * 201):
        with api.client(key, **{"X-Vigilry-Actor": wrong}) as client:
            assert_refused(client.put(f"/admin/projects/{new_ulid()}", json={}), 400, "invalid_request")


def test_a_project_is_deleted_only_with_its_name(admin: httpx.Client, own_engine: Engine) -> None:
    name = f"project {new_ulid()}"
    id_ = admin.post("/admin/keys", json={"project": name}).json()["project_id"]
    path = f"/admin/projects/{name}"
    assert faults(admin.delete(path)) == {"/confirm": "required"}
    assert_refused(admin.delete(path, params={"confirm": "another"}), 409, "conflict")
    assert admin.delete(path, params={"dry_run": "true"}).json() == {
        "events": 0, "entries": 0, "dead_letters": 0, "dry_run": True,
    }  # fmt: skip
    assert admin.delete(path, params={"confirm": name}).status_code == 200
    assert_refused(admin.get(path), 404, "not_found")
    actions = [row.action for row in newest_entries(own_engine, AuditFilter(project_id=id_), 9)]
    assert actions == ["project.delete", "events.erase", "project.archive", "key.mint", "project.create"]


def test_a_project_that_another_deletes_meanwhile_is_a_404(admin: httpx.Client, own_engine: Engine) -> None:
    name = f"project {new_ulid()}"
    id_ = admin.put(f"/admin/projects/{name}", json={"archived": True}).json()["project_id"]
    with ThreadPoolExecutor(1) as pool:
        with changes_on(own_engine) as session:
            deletion = pool.submit(admin.delete, f"/admin/projects/{name}", params={"confirm": name})
            # Until it has found the project and waits for this change.
            time.sleep(1)
            session.execute(delete(Project).where(Project.id == id_))
        assert_refused(deletion.result(), 404, "not_found")


def test_a_project_that_is_restored_while_it_is_deleted_is_kept(
    settings: dict[str, str | int], own_engine: Engine
) -> None:
    name = f"project {new_ulid()}"
    path = f"/admin/projects/{name}"
    key = an_admin_key(own_engine)
    with (
        AdminApi(settings | {"VIGILRY_KEY_CACHE_TTL_S": 3}) as api,
        api.client(key) as admin,
        ThreadPoolExecutor(1) as pool,
    ):
        admin.put(path, json={})
        deletion = pool.submit(admin.delete, path, params={"confirm": name})
        wait_until(lambda: admin.get(path).json()["state"] == "archived", 3, "the project is archived")
        admin.put(path, json={"archived": False})
        problem = assert_refused(deletion.result(), 409, "conflict")
        assert "was restored" in problem["detail"]
        assert admin.get(path).json()["state"] == "live"


def test_what_is_not_there_is_a_404_and_a_nul_never_reaches_the_database(admin: httpx.Client) -> None:
    requests = (
        ("GET", "projects/none"), ("PATCH", "projects/none"), ("POST", "keys/none/revoke"),
        ("GET", "sources/none"), ("DELETE", "sources/none"), ("GET", "projects/a%00b"),
        ("GET", "sources/%00"), ("GET", "none"),
    )  # fmt: skip
    for method, path in requests:
        body: dict[str, str] | None = None if method in ("GET", "DELETE") else {}
        assert_refused(admin.request(method, f"/admin/{path}", json=body), 404, "not_found")
    assert faults(admin.get("/admin/keys?project=%00")) == {"/project": "invalid"}


def test_a_database_that_is_away_is_a_503(breakable_postgres: Postgres, valkey: Valkey) -> None:
    url = breakable_postgres.new_database()
    migrate(url)
    engine = make_engine(url)
    key = an_admin_key(engine, [AUDIT])
    dispose(engine)
    settings: dict[str, str | int] = {"VIGILRY_DATABASE_URL": url, "VIGILRY_REDIS_URL": valkey.url}
    with AdminApi(settings) as api, api.client(key) as client:
        assert client.get("/admin/audit").status_code == 200
        breakable_postgres.stop()
        problem = assert_refused(client.get("/admin/audit"), 503, "database_unavailable")
        assert "5432" not in str(problem)
        assert client.get("/health/ready").status_code == 503
        breakable_postgres.start()
        assert client.get("/admin/audit").status_code == 200
