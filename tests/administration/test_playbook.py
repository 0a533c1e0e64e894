"""Configuration management: declarative changes that are repeated change nothing."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, text

from tests.fixtures.sender import assert_refused
from vigilry_ingest.storage.audit_queries import AuditFilter, newest_entries

# As a playbook of Ansible or a module of Terraform sends them: what is put where.
PLAYBOOK: list[tuple[str, dict[str, Any]]] = [
    ("projects/shop", {"per_second": 200, "bytes_per_second": 2_000_000, "retention_days": 90}),
    (
        "projects/site",
        {
            "per_second": 20,
            "burst": 100,
            "retention_days": 14,
            "scrubbing": {"fields": ["*password*", "cvc"], "patterns": ["jwt", "card-number"]},
        },
    ),
    ("projects/old%20site", {"archived": True, "retention_days": 0}),
    ("projects/a%2Fb%3F%C3%A9", {}),
    ("projects/shop", {"retention_days": 90}),
    (
        "sources/by-name/shop/github",
        {"provider": "github", "secret": "of the playbook", "severities": {"push": "WARN"}},
    ),
    (
        "sources/by-name/shop/payments",
        {"provider": "stripe", "environment": "staging", "secret": "whsec_payments"},
    ),
    ("sources/by-name/site/gitlab", {"provider": "gitlab", "disabled": True}),
    (
        "sources/by-name/site/own",
        {
            "provider": "hmac",
            "options": {"header": "X-Sig", "algorithm": "sha256", "tolerance_s": 300},
            "secret": "of our own",
        },
    ),
    (
        "keys/by-name/shop/web",
        {"scopes": ["send"], "origins": ["https://a.example"], "expires_in_days": 90},
    ),
]


def run(admin: httpx.Client) -> list[httpx.Response]:
    """Send the whole playbook."""
    return [admin.put(f"/admin/{path}", json=body) for path, body in PLAYBOOK]


def rows_of(engine: Engine) -> dict[str, Any]:
    """Return everything in the tables that the playbook writes to."""
    tables = ("projects", "api_keys", "sources", "source_secrets", "audit_log")
    with engine.connect() as connection:
        return {
            table: sorted(map(str, connection.execute(text(f"SELECT * FROM {table}"))))  # noqa: S608  the test's own names
            for table in tables
        }


def test_ten_declarative_changes_run_twice_change_nothing_the_second_time(
    admin: httpx.Client, own_engine: Engine
) -> None:
    first = run(admin)
    assert len(first) == 10
    assert [answer.status_code for answer in first] == [201, 201, 201, 201, 200, 201, 201, 201, 201, 201]
    assert [path for (path, _), answer in zip(PLAYBOOK, first, strict=True) if "secret" in answer.json()] == [
        "sources/by-name/site/gitlab"
    ]
    before = rows_of(own_engine)
    second = run(admin)
    assert [answer.status_code for answer in second] == [200] * 10
    assert rows_of(own_engine) == before
    for one, other in zip(first[:-1], second, strict=False):
        body = one.json()
        # What was made is shown once.
        body.pop("secret", None)
        assert other.json() == body
    minted, listed = first[-1].json(), second[-1].json()
    assert minted["api_key"].startswith(listed["hint"])
    assert "api_key" not in listed
    assert run(admin)[-1].json() == listed


def test_a_change_is_one_row_for_what_differs(admin: httpx.Client, own_engine: Engine) -> None:
    admin.put("/admin/projects/ledger", json={"per_second": 5, "retention_days": 30})
    newest = newest_entries(own_engine, AuditFilter(), 1)[0].id
    answer = admin.put("/admin/projects/ledger", json={"per_second": 5, "retention_days": 31})
    assert (answer.status_code, answer.json()["retention_days"]) == (200, 31)
    (row,) = [each for each in newest_entries(own_engine, AuditFilter(), 10) if each.id > newest]
    assert (row.action, row.before, row.after) == (
        "project.retain", '{"retention_days":30}', '{"retention_days":31}',
    )  # fmt: skip
    assert row.actor.startswith("admin-key:ci-")


def test_an_absent_setting_stays_and_null_removes_it_and_limits_belong_together(admin: httpx.Client) -> None:
    path = "/admin/projects/settings"
    admin.put(path, json={"per_second": 5, "burst": 9, "bytes_per_second": 700, "retention_days": 3})
    body = admin.put(path, json={"per_second": 6}).json()
    assert (body["per_second"], body["burst"], body["bytes_per_second"]) == (6, 6, None)
    assert body["retention_days"] == 3
    body = admin.put(path, json={"per_second": None, "retention_days": None}).json()
    assert (body["per_second"], body["burst"], body["retention_days"]) == (None, None, None)


def test_a_key_is_minted_again_once_it_is_revoked_and_never_changed(admin: httpx.Client) -> None:
    admin.put("/admin/projects/keys", json={})
    path = "/admin/keys/by-name/keys/a%2Fb"
    first = admin.put(path, json={"environment": "staging"})
    assert (first.status_code, first.json()["environment"]) == (201, "staging")
    assert admin.put(path, json={"environment": "staging", "expires_in_days": 3}).status_code == 200
    assert_refused(admin.put(path, json={}), 409, "conflict")
    admin.post(f"/admin/keys/{first.json()['key_id']}/revoke", json={})
    assert admin.put(path, json={}).status_code == 201
    assert_refused(admin.put("/admin/keys/by-name/nobody/x", json={}), 404, "not_found")
    admin.put("/admin/projects/keys", json={"archived": True})
    assert_refused(admin.put("/admin/keys/by-name/keys/other", json={}), 409, "conflict")


def test_another_secret_replaces_the_current_one_after_its_grace(admin: httpx.Client) -> None:
    admin.put("/admin/projects/secrets", json={})
    path = "/admin/sources/by-name/secrets/github"
    assert admin.put(path, json={"provider": "github", "secret": "one"}).status_code == 201
    body = admin.put(path, json={"provider": "github", "secret": "two", "grace_hours": 1}).json()
    assert [each["expires_at"] is None for each in body["secrets"]] == [True, False]
    assert admin.put(path, json={"provider": "github"}).json() == body
    changed = admin.put(path, json={"provider": "github", "environment": "staging", "disabled": True})
    assert (changed.json()["environment"], changed.json()["state"]) == ("staging", "disabled")


@pytest.mark.parametrize(
    ("path", "body", "shown"),
    [
        ("projects/{}", {"per_second": 5}, "project_id"),
        ("keys/by-name/racing/{}", {}, "api_key"),
        ("sources/by-name/racing/{}", {"provider": "github"}, "secret"),
    ],
)
def test_identical_requests_at_once_make_one_and_show_its_secret_once(
    admin: httpx.Client, own_engine: Engine, path: str, body: dict[str, Any], shown: str
) -> None:
    project_id = admin.put("/admin/projects/racing", json={}).json()["project_id"]
    with ThreadPoolExecutor(8) as pool:
        for number in range(5):
            target = "/admin/" + path.format(f"{shown} {number}")
            answers = list(pool.map(lambda to: admin.put(to, json=body), [target] * 8))
            assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
            if shown != "project_id":
                assert [shown in answer.json() for answer in answers].count(True) == 1
    assert not newest_entries(own_engine, AuditFilter(project_id, action="source.rotate"), 1)


def test_what_cannot_be_put_is_refused_with_what_to_do(admin: httpx.Client) -> None:
    admin.put("/admin/projects/refusing", json={})
    put = "/admin/sources/by-name/refusing/one"
    assert_refused(admin.put(put, json={"provider": "stripe"}), 400, "invalid_request")
    assert admin.put(put, json={"provider": "github"}).json()["secret"]
    encoded = {
        "provider": "hmac",
        "options": {"header": "X-Sig", "algorithm": "sha256", "key_encoding": "base64"},
    }
    assert admin.put("/admin/sources/by-name/refusing/encoded", json=encoded).json()["secret"]
    problem = assert_refused(admin.put(put, json={"provider": "gitlab"}), 409, "conflict")
    assert "remove it first" in problem["detail"]
    for _ in range(2):
        added = {"project": "refusing", "provider": "github", "name": "twin", "secret": "x"}
        assert admin.post("/admin/sources", json=added).status_code == 201
    twin = admin.put("/admin/sources/by-name/refusing/twin", json={"provider": "github"})
    assert_refused(twin, 409, "conflict")
    assert_refused(
        admin.put("/admin/sources/by-name/nobody/one", json={"provider": "github"}), 404, "not_found"
    )
    unknown_id = "/admin/projects/proj_01M8D0000000000000000000ZZ"
    assert_refused(admin.put(unknown_id, json={}), 404, "not_found")
    for name in ("%20shop", "a%07b", "x" * 201):
        assert_refused(admin.put(f"/admin/projects/{name}", json={}), 400, "invalid_request")


@pytest.mark.parametrize("name", ["a/b", "/a", "a/", "..", ".", "a?b#c", "Größe ✓", "x" * 200])
def test_any_name_of_a_project_is_addressed_in_the_path(admin: httpx.Client, name: str) -> None:
    # httpx would normalize dots.
    path = "/admin/projects/" + "".join(f"%{byte:02X}" for byte in name.encode())
    assert admin.put(path, json={}).json()["project"] == name
    assert admin.get(path).json()["project"] == name
