"""Admin keys: who is refused, how it is on record, and how little an attacker can cost."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine

from tests.fixtures.commands import Commands
from tests.fixtures.sender import EXAMPLES, assert_refused
from tests.fixtures.servers.admin import AdminApi, an_admin_key
from tests.fixtures.servers.gunicorn import Service
from vigilry_ingest.api_keys.admin_keys import AUDIT, KEYS, PROJECTS, READ, SOURCES, mint_admin_key
from vigilry_ingest.api_keys.format import is_well_formed, is_well_formed_admin_key, new_admin_key
from vigilry_ingest.api_keys.registry import mint
from vigilry_ingest.domain.ids import new_ulid
from vigilry_ingest.storage.audit_queries import AuditFilter, newest_entries, verify

REFUSED = AuditFilter(action="admin.refuse")


@pytest.fixture
def fresh(settings: dict[str, str | int]) -> Iterator[AdminApi]:
    """Run another admin API, which has seen no failed attempt."""
    with AdminApi(settings) as api:
        yield api


def refusals(engine: Engine) -> list[tuple[str, str]]:
    """Return the targets and the states of the refusals on record, newest first."""
    return [(row.target_id, row.after or "") for row in newest_entries(engine, REFUSED, 1000)]


def get(api: AdminApi, key: str | None, path: str = "/admin/projects") -> httpx.Response:
    """Send a GET request."""
    with api.client(key) as client:
        return client.get(path)


def test_a_key_has_its_prefix_a_checksum_and_is_none_of_senders() -> None:
    key = new_admin_key()
    assert key.startswith("vig_admin_")
    assert is_well_formed_admin_key(key)
    assert not is_well_formed(key)
    assert not is_well_formed_admin_key(key[:-1] + ("0" if key[-1] != "0" else "1"))


def test_a_missing_a_wrong_an_expired_and_a_revoked_key_are_refused_and_on_record(
    fresh: AdminApi, own_engine: Engine
) -> None:
    expired = mint_admin_key(own_engine, f"old-{new_ulid()}", [READ], lifetime=timedelta(seconds=-1))
    assert_refused(get(fresh, None), 401, "missing_admin_key")
    assert_refused(get(fresh, new_admin_key()), 401, "invalid_admin_key")
    assert_refused(get(fresh, expired.admin_key), 401, "invalid_admin_key")
    assert get(fresh, None).headers["www-authenticate"] == 'Bearer realm="admin"'
    found = refusals(own_engine)
    assert [target for target, _ in found[:3]] == [expired.row.id, "unknown", "unknown"]
    for (_, after), reason in zip(found, ("expired", "unknown", "missing"), strict=False):
        assert f'"reason":"{reason}"' in after
    assert verify(own_engine).faults == ()


def test_a_revocation_takes_effect_at_once(api: AdminApi, own_engine: Engine, own_url: str) -> None:
    minted = mint_admin_key(own_engine, f"leaked-{new_ulid()}", [READ])
    assert get(api, minted.admin_key).status_code == 200
    with Commands(database_url=own_url) as commands:
        assert "Revoked" in commands.well("admin-keys", "revoke", minted.row.id)
    assert_refused(get(api, minted.admin_key), 401, "invalid_admin_key")
    assert refusals(own_engine)[0][0] == minted.row.id


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [
        (READ, {"projects", "keys", "sources"}),
        (PROJECTS, {"projects"}),
        (KEYS, {"keys"}),
        (SOURCES, {"sources"}),
        (AUDIT, {"audit"}),
    ],
)
def test_a_key_reads_what_its_scope_allows_and_the_rest_is_refused_and_on_record(
    api: AdminApi, own_engine: Engine, scope: str, allowed: set[str]
) -> None:
    minted = mint_admin_key(own_engine, f"narrow-{new_ulid()}", [scope])
    for resource in ("projects", "keys", "sources", "audit"):
        answer = get(api, minted.admin_key, f"/admin/{resource}")
        if resource in allowed:
            assert answer.status_code == 200, answer.text
        else:
            problem = assert_refused(answer, 403, "insufficient_admin_scope")
            assert scope in problem["detail"]
    # Once in a minute, however often.
    mine = [after for target, after in refusals(own_engine) if target == minted.row.id]
    assert len(mine) == 1
    assert '"reason":"scope"' in mine[0]


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("PUT", "/admin/projects/shop", PROJECTS),
        ("PATCH", "/admin/projects/shop", PROJECTS),
        ("DELETE", "/admin/projects/shop", PROJECTS),
        ("POST", "/admin/keys", KEYS),
        ("POST", "/admin/keys/key_1/revoke", KEYS),
        ("POST", "/admin/sources", SOURCES),
        ("PUT", "/admin/sources/by-name/shop/github", SOURCES),
        ("DELETE", "/admin/sources/src_1", SOURCES),
        ("POST", "/admin/secrets/rotate", SOURCES),
    ],
)
def test_nothing_is_changed_without_the_scope_of_the_resource(
    api: AdminApi, own_engine: Engine, method: str, path: str, scope: str
) -> None:
    others = [each for each in (READ, PROJECTS, KEYS, SOURCES, AUDIT) if each != scope]
    with api.client(an_admin_key(own_engine, others)) as client:
        assert_refused(client.request(method, path, json={}), 403, "insufficient_admin_scope")
    with api.client(an_admin_key(own_engine, [scope])) as client:
        assert client.request(method, path, json={}).status_code != 403


def test_a_key_that_may_only_mint_makes_no_project(api: AdminApi, own_engine: Engine) -> None:
    name = f"project {new_ulid()}"
    with api.client(an_admin_key(own_engine, [KEYS])) as client:
        assert_refused(client.post("/admin/keys", json={"project": name}), 404, "not_found")
    with api.client(an_admin_key(own_engine, [KEYS, PROJECTS])) as client:
        assert client.post("/admin/keys", json={"project": name}).status_code == 201


def test_failed_attempts_are_limited_and_recorded_in_few_rows_and_a_valid_key_is_accepted_meanwhile(
    fresh: AdminApi, own_engine: Engine
) -> None:
    valid = an_admin_key(own_engine)
    before = len(refusals(own_engine))
    statuses = []
    with fresh.client() as client:
        for _ in range(60):
            headers = {"Authorization": f"Bearer {new_admin_key()}"}
            answer = client.get("/admin/projects", headers=headers)
            statuses.append(answer.status_code)
    assert set(statuses) == {401, 429}
    assert statuses.count(401) < 30
    assert int(answer.headers["retry-after"]) >= 1
    assert get(fresh, valid).status_code == 200
    assert len(refusals(own_engine)) == before + 1


def test_a_revoked_key_is_refused_within_a_second_also_while_attempts_are_failing(
    fresh: AdminApi, own_engine: Engine, own_url: str
) -> None:
    minted = mint_admin_key(own_engine, f"leaked-{new_ulid()}", [READ])
    with fresh.client() as client, Commands(database_url=own_url) as commands:

        def attack() -> None:
            for _ in range(40):
                client.get("/admin/projects", headers={"Authorization": f"Bearer {new_admin_key()}"})

        attack()
        assert get(fresh, minted.admin_key).status_code == 200
        commands.well("admin-keys", "revoke", minted.row.id)
        import time

        deadline = time.monotonic() + 1.1
        while time.monotonic() < deadline:
            attack()
        assert get(fresh, minted.admin_key).status_code in (401, 429)


def test_senders_keys_are_refused_by_the_admin_api_and_admin_keys_by_the_ingest_api(
    api: AdminApi, own_engine: Engine, settings: dict[str, str | int]
) -> None:
    sender_key = mint(own_engine, f"project {new_ulid()}", "production").api_key
    assert_refused(get(api, sender_key), 401, "invalid_admin_key")
    with api.client(**{"X-Api-Key": sender_key}) as client:
        assert_refused(client.get("/admin/projects"), 401, "missing_admin_key")
    key = an_admin_key(own_engine)
    with Service(settings, workers=1) as service, service.client() as client:
        for headers in ({"X-Api-Key": key}, {"X-Sentry-Auth": f"Sentry sentry_key={key}"}):
            answer = client.post("/ingest/events", json=EXAMPLES["events"], headers=headers)
            assert answer.status_code == 401
        assert_refused(client.get("/admin/projects", headers={"X-Api-Key": key}), 404, "not_found")
        authorized = {"Authorization": f"Bearer {key}"}
        for path in ("/admin/projects", "/admin/keys", "/admin/audit"):
            assert_refused(client.get(path, headers=authorized), 404, "not_found")


def test_two_live_keys_have_no_common_name_and_a_name_is_plain(own_url: str) -> None:
    name = f"ci-{new_ulid()}"
    mint_words = ("admin-keys", "mint", name, "--scope", "read")
    with Commands(database_url=own_url) as commands:
        (minted,) = commands.json(*mint_words)
        assert minted["scopes"] == ["read"]
        assert f"the name {name}" in commands.failure_of(*mint_words)
        commands.well("admin-keys", "revoke", minted["key_id"])
        listed: list[dict[str, Any]] = commands.json("admin-keys", "list")
        assert [row["state"] for row in listed if row["name"] == name] == ["revoked"]
        assert minted["admin_key"] not in str(listed)
        assert commands.json(*mint_words)
        for wrong in ("", "a b", "a\nb", "é", "x" * 61):
            assert commands.run("admin-keys", "mint", wrong, "--scope", "read").exit_code == 2
        assert commands.run("admin-keys", "mint", "other").exit_code == 2
        assert "No admin key" in commands.failure_of("admin-keys", "revoke", "adm_x")
