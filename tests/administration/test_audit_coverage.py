"""Every route of the admin API either only reads or leaves the rows that it declares, without a secret."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, text

from tests.administration.routes import ROUTES
from tests.fixtures.servers.admin import AdminApi, an_admin_key
from vigilry_ingest.domain.ids import new_ulid
from vigilry_ingest.storage.audit_queries import verify
from vigilry_ingest.webhooks.encryption import new_key

SECRETS = ("whsec_first_of_the_routes", "whsec_second_of_the_routes", "whsec_third_of_the_routes")
SCRUBBING = {"fields": ["*password*"], "patterns": ["jwt"]}
CHANGING = {route: actions for route, actions in ROUTES.items() if actions}


def test_a_route_that_only_reads_is_a_get_and_every_other_declares_what_it_records() -> None:
    assert {route for route in ROUTES if route not in CHANGING} == {
        route for route in ROUTES if route.startswith("GET ")
    }


class Routes:
    """Sends changing requests, and checks that each records what its route declares, under the key's name."""

    def __init__(self, client: httpx.Client, engine: Engine) -> None:
        self._client = client
        self._engine = engine
        self.done: set[str] = set()
        self.output = ""

    def send(self, route: str, body: dict[str, Any] | None = None, **names: str) -> dict[str, Any]:
        """Send a request to a route and return its answer."""
        method, path = route.split()
        for name, value in names.items():
            path = path.replace(f"<{name}>", value).replace(f"<name:{name}>", value)
        with self._engine.connect() as connection:
            before = connection.scalar(text("SELECT max(id) FROM audit_log")) or 0
            query = {"confirm": names["project"]} if method == "DELETE" and "project" in names else None
            answer = self._client.request(method, path, json=body, params=query)
            assert answer.is_success, answer.text
        with self._engine.connect() as connection:
            rows = connection.execute(
                text("SELECT action, actor FROM audit_log WHERE id > :id"), {"id": before}
            ).all()
        assert {row.action for row in rows} <= set(CHANGING[route])
        assert all(row.actor.startswith("admin-key:ci-") and row.actor.endswith(" as ada") for row in rows)
        self.done |= {f"{route}: {row.action}" for row in rows}
        self.output += answer.text
        members: dict[str, Any] = answer.json()
        return members


def change_projects(send: Callable[..., dict[str, Any]], project: str) -> None:
    """Send the requests of projects and keys."""
    put, patch = "PUT /admin/projects/<name:project>", "PATCH /admin/projects/<name:project>"
    send(
        put, {"per_second": 5, "retention_days": 3, "scrubbing": SCRUBBING, "archived": True}, project=project
    )
    send(put, {"archived": False}, project=project)
    settings = {
        "bytes_per_second": 5,
        "retention_days": None,
        "scrubbing": None,
        "name": f"{project} renamed",
    }
    send(patch, settings, project=project)
    send(patch, {"archived": True, "name": project}, project=f"{project} renamed")
    send(patch, {"archived": False}, project=project)
    send("POST /admin/keys", {"project": f"{project} of a key"})
    send("PUT /admin/keys/by-name/<project>/<name:name>", {}, project=project, name="put")
    key = send("POST /admin/keys", {"project": project})["key_id"]
    successor = send("POST /admin/keys/<key_id>/rotate", {}, key_id=key)["key_id"]
    send("POST /admin/keys/<key_id>/revoke", key_id=successor)


def change_sources(send: Callable[..., dict[str, Any]], project: str) -> None:
    """Send the requests of sources."""
    body = {"provider": "stripe", "secret": SECRETS[0]}
    source = send("POST /admin/sources", body | {"project": project})["source_id"]
    send("POST /admin/sources/<source_id>/rotate", {"secret": SECRETS[1]}, source_id=source)
    put = "PUT /admin/sources/by-name/<project>/<name:name>"
    send(put, body | {"disabled": True}, project=project, name="put")
    changed = {"provider": "stripe", "environment": "staging", "secret": SECRETS[2], "disabled": False}
    send(put, changed, project=project, name="put")
    send("PATCH /admin/sources/<source_id>", {"disabled": True}, source_id=source)
    send("PATCH /admin/sources/<source_id>", {"disabled": False}, source_id=source)
    send("DELETE /admin/sources/<source_id>", source_id=source)


@pytest.fixture
def key_of_secrets(settings: dict[str, str | int]) -> str:
    return str(settings["VIGILRY_SECRETS_KEYS"])


def test_each_changing_route_leaves_the_rows_it_declares_and_none_holds_a_secret(
    settings: dict[str, str | int], own_engine: Engine, key_of_secrets: str
) -> None:
    project = f"project {new_ulid()}"
    key = an_admin_key(own_engine)
    with AdminApi(settings) as api, api.client(key, **{"X-Vigilry-Actor": "ada"}) as client:
        routes = Routes(client, own_engine)
        change_projects(routes.send, project)
        change_sources(routes.send, project)
    newer = settings | {"VIGILRY_SECRETS_KEYS": f"{new_key()},{key_of_secrets}"}
    with AdminApi(newer) as api, api.client(key, **{"X-Vigilry-Actor": "ada"}) as client:
        again = Routes(client, own_engine)
        again.send("POST /admin/secrets/rotate")
        again.send("DELETE /admin/projects/<name:project>", project=project)
    declared = {f"{route}: {action}" for route, actions in CHANGING.items() for action in actions}
    assert routes.done | again.done == declared
    with own_engine.connect() as connection:
        written = "\n".join(map(str, connection.execute(text("SELECT * FROM audit_log"))))
    assert routes.output.count("vig_live_") >= 3
    for secret in (*SECRETS, key_of_secrets, key, "vig_live_", "vig_admin_"):
        assert secret not in written
    assert verify(own_engine).faults == ()
