"""Who may call from a browser: pages of the origins that the operator allows."""

import pytest

from tests.fixtures.sender import EXAMPLES, Sender, assert_refused
from tests.fixtures.servers.gunicorn import Service
from tests.fixtures.servers.valkey import Valkey
from tests.fixtures.services import NewSender

pytestmark = pytest.mark.one_database

ORIGIN = "https://app.example.com"


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


def test_an_origin_is_compared_exactly_even_if_it_looks_like_a_pattern(service: Service) -> None:
    allowed = service.settings | {
        "VIGILRY_CORS_ORIGINS": f"http://[::1], http://[2001:db8::a]:3000, {ORIGIN}"
    }
    others = [
        "http://1",
        "http://:",
        "http://1.evil.example",
        "http://a:3000",
        "http://a.evil.example",
        "http://[::1].evil.example",
        "http://[::1]:3000",
        "http://[::2]",
        f"{ORIGIN}.evil.example",
        "https://appXexample.com",
        "https://sub.app.example.com",
        f"{ORIGIN}:8443",
        "null",
    ]
    with Service(allowed) as open_to_some, open_to_some.client() as client:

        def allowed_origin(origin: str) -> str:
            answer = client.post("/ingest/events", json={}, headers={"Origin": origin})
            return str(answer.headers.get("access-control-allow-origin"))

        for origin in ("http://[::1]", "http://[2001:db8::a]:3000", ORIGIN):
            assert allowed_origin(origin) == origin
        assert {allowed_origin(origin) for origin in others} == {"None"}


def test_any_origin_may_be_allowed(service: Service) -> None:
    allowed = service.settings | {"VIGILRY_CORS_ORIGINS": "*"}
    with Service(allowed) as open_to_all, open_to_all.client() as client:
        answer = client.post("/ingest/events", json={}, headers={"Origin": ORIGIN})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (401, "*")
