"""Scopes and origins of keys, and CORS by key."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from tests.fixtures.sender import EXAMPLES, Sender, assert_refused
from tests.fixtures.servers.gunicorn import Service
from tests.fixtures.servers.valkey import Valkey
from tests.sentry.envelopes import EVENT, envelope, item, send
from vigilry_ingest.api_keys.registry import mint

pytestmark = pytest.mark.one_database

SHOP = "https://shop.example"
OTHER = "https://other.example"


@pytest.fixture
def page(service: Service, valkey: Valkey, engine: Engine) -> Iterator[Sender]:
    """Return a sender with a key for pages of the shop."""
    minted = mint(engine, "restricted", "production", scopes=["send"], origins=[SHOP])
    sender = Sender(service, valkey, minted)
    yield sender
    sender.close()


def test_a_key_that_sends_cannot_read_and_one_that_reads_cannot_send(
    page: Sender, service: Service, valkey: Valkey, engine: Engine
) -> None:
    stored = page.post("events", EXAMPLES["events"])
    assert stored.status_code == 202
    key = {"X-Api-Key": page.minted.api_key}
    assert_refused(page.http.get(stored.headers["location"], headers=key), 403, "insufficient_scope")
    minted = mint(engine, "restricted", "production", scopes=["read"])
    reader = Sender(service, valkey, minted)
    assert_refused(reader.post("events", EXAMPLES["events"]), 403, "insufficient_scope")
    assert_refused(reader.post("batch", {"events": []}), 403, "insufficient_scope")
    assert_refused(send(reader, envelope(item(EVENT))), 403, "insufficient_scope")
    key = {"X-Api-Key": minted.api_key}
    assert reader.http.get(stored.headers["location"], headers=key).status_code == 200
    reader.close()


def test_only_pages_of_its_origins_may_use_a_key(page: Sender) -> None:
    query = f"?sentry_key={page.minted.api_key}"
    body = envelope(item(EVENT))
    allowed = send(page, body, query=query, headers={"Origin": SHOP})
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == SHOP
    assert "X-Sentry-Rate-Limits" in allowed.headers["access-control-expose-headers"]
    assert "Origin" in allowed.headers["vary"]
    refused = send(page, body, query=query, headers={"Origin": OTHER})
    assert_refused(refused, 403, "origin_not_allowed")
    assert "access-control-allow-origin" not in refused.headers
    headers = {"Origin": OTHER}
    assert_refused(page.post("events", EXAMPLES["events"], headers=headers), 403, "origin_not_allowed")
    assert send(page, body).status_code == 200
    # A page can read why it is refused.
    invalid = send(page, b"", query=query, headers={"Origin": SHOP})
    assert (invalid.status_code, invalid.headers["access-control-allow-origin"]) == (400, SHOP)


@pytest.mark.parametrize(("origin", "is_allowed"), [(SHOP, True), (OTHER, False)])
def test_a_preflight_request_has_the_key_in_its_query(page: Sender, origin: str, is_allowed: bool) -> None:
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    url = f"/api/1/envelope/?sentry_version=7&sentry_key={page.minted.api_key}"
    answer = page.http.options(url, headers=asked)
    assert answer.status_code == 200
    assert ("access-control-allow-origin" in answer.headers) is is_allowed
    assert ("X-Sentry-Auth" in answer.headers.get("access-control-allow-headers", "")) is is_allowed
    without = page.http.options("/api/1/envelope/", headers=asked)
    assert (without.status_code, "access-control-allow-origin" in without.headers) == (200, False)
