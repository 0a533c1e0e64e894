"""Envelopes and events are taken, mapped, counted and refused as the protocol and the documentation say."""

import gzip
import json
import zlib
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from backports import zstd
from sqlalchemy import Engine

from tests.fixtures.scrape import scrape
from tests.fixtures.sender import Sender, assert_refused
from tests.fixtures.servers.gunicorn import Service
from tests.fixtures.servers.valkey import Valkey
from tests.sentry.envelopes import EVENT, EVENT_ID, envelope, item, send
from vigilry_ingest.api_keys.projects import limit
from vigilry_ingest.api_keys.registry import mint
from vigilry_ingest.domain.event import Quota

pytestmark = pytest.mark.one_database


def the_entry(sender: Sender) -> dict[bytes, bytes]:
    """Return the only entry of a sender."""
    (entry,) = sender.published()
    return entry


def mapped(sender: Sender, event: dict[str, Any]) -> dict[str, Any]:
    """Send an event, and return the entry that it became."""
    assert send(sender, json.dumps(event).encode(), form="store").status_code == 200
    entry = sender.published()[-1]
    return {name.decode(): value.decode() for name, value in entry.items()}


def test_an_event_is_stored_with_its_type_severity_message_and_correlation(sender: Sender) -> None:
    payload = json.dumps(EVENT).encode()
    answer = send(sender, envelope(item(payload, length=len(payload)), event_id=EVENT_ID))
    assert (answer.status_code, answer.json()) == (200, {"id": EVENT_ID})
    entry = the_entry(sender)
    assert entry[b"kind"] == b"sentry"
    assert entry[b"type"] == b"CheckoutFailed"
    assert entry[b"severity"] == b"ERROR"
    assert entry[b"message"] == b"no cart"
    assert entry[b"source"] == b"web-1"
    assert entry[b"idempotency_key"] == EVENT_ID.encode()
    assert entry[b"payload"] == payload
    assert json.loads(entry[b"correlation"]) == {
        "user_id": 99,
        "release": "shop@1.4.2",
        "environment": "live",
        "transaction": "/checkout",
        "trace_id": "8c" * 16,
        "span_id": "ab" * 8,
        "order_id": "ord_4421",
    }


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({"message": "hello"}, ("message", "INFO", "hello")),
        ({"message": "hello", "level": "warning"}, ("message", "WARN", "hello")),
        ({"message": "hello", "level": "fatal"}, ("message", "CRITICAL", "hello")),
        ({"message": "hello", "level": "debug"}, ("message", "INFO", "hello")),
        ({"logentry": {"message": "%s", "formatted": "it"}}, ("message", "INFO", "it")),
        ({"message": {"message": "%s", "formatted": "it"}}, ("message", "INFO", "it")),
        ({"exception": {"values": [{"type": "E", "value": "v"}]}}, ("E", "ERROR", "v")),
        ({"exception": [{"type": "E", "value": ""}]}, ("E", "ERROR", "E")),
        ({"exception": {"type": "E", "value": None}}, ("E", "ERROR", "E")),
        (
            {"exception": {"values": [None, {"type": "E", "value": {"a": 1}}, None]}},
            ("E", "ERROR", '{"a": 1}'),
        ),
        ({"exception": {"values": []}, "level": "nonsense"}, ("message", "INFO", "(no message)")),
        ({"exception": "E", "tags": 3, "user": [], "contexts": None}, ("message", "INFO", "(no message)")),
    ],
)
def test_any_form_of_an_event_is_taken(
    sender: Sender, event: dict[str, Any], expected: tuple[str, str, str]
) -> None:
    entry = mapped(sender, event)
    assert (entry["type"], entry["severity"], entry["message"]) == expected


@pytest.mark.parametrize("tags", [[["a", "1"], ["b", 2]], [{"key": "a", "value": "1"}, None, ["b", 2]]])
def test_tags_may_be_a_list(sender: Sender, tags: list[Any]) -> None:
    assert json.loads(mapped(sender, {"message": "m", "tags": tags})["correlation"]) == {"a": "1", "b": 2}


def test_what_is_over_the_limits_of_correlations_is_dropped_and_the_event_kept(sender: Sender) -> None:
    tags: dict[str, Any] = {"long": "x" * 2000, "n" * 200: "1", "list": [1], "none": None, "user_id": "other"}
    tags |= {f"tag{number}": number for number in range(100)}
    correlation = json.loads(mapped(sender, {"user": {"id": "usr_1"}, "tags": tags})["correlation"])
    assert len(correlation) == 64
    assert correlation["user_id"] == "usr_1"
    assert not {"long", "n" * 200, "list", "none"} & set(correlation)
    many = {f"tag{number}": number for number in range(2000)}
    assert json.loads(mapped(sender, {"release": "r", "tags": many})["correlation"]) == {"release": "r"}


def test_half_of_a_surrogate_pair_is_kept_in_the_payload(sender: Sender) -> None:
    text = rb'{"message":"cut \ud83d","tags":{"a":"\udc00"}}'
    assert send(sender, text, form="store").status_code == 200
    entry = the_entry(sender)
    assert entry[b"payload"] == text
    assert entry[b"message"].decode() == "cut \ufffd"


def test_a_retry_is_stored_once_and_an_id_may_have_hyphens(sender: Sender) -> None:
    first = send(sender, envelope(item(EVENT)))
    hyphened = "9EC79C33-EC99-42AB-8353-589FCB2E04DC"
    again = send(sender, envelope(item({"message": "m"}), event_id=hyphened))
    assert first.json() == again.json() == {"id": EVENT_ID}
    assert len(sender.published()) == 1


def test_events_without_an_id_are_stored_each_under_a_new_one(sender: Sender) -> None:
    ids = {send(sender, b'{"message":"m"}', form="store").json()["id"] for _ in range(2)}
    assert len(ids) == len(sender.published()) == 2


@pytest.mark.parametrize("coding", ["gzip", "deflate", "zstd", "identity"])
def test_bodies_may_be_compressed(sender: Sender, coding: str) -> None:
    codings: dict[str, Callable[[bytes], bytes]] = {
        "gzip": gzip.compress,
        "deflate": zlib.compress,
        "zstd": zstd.compress,
    }
    compress = codings.get(coding, bytes)
    auth = {"X-Sentry-Auth": f"Sentry sentry_key={sender.minted.api_key}", "Content-Encoding": coding}
    assert send(sender, compress(envelope(item(EVENT))), headers=auth).status_code == 200
    assert the_entry(sender)[b"type"] == b"CheckoutFailed"


def test_the_old_client_of_node_sends_zlib_in_base64_which_has_the_same_bounds(sender: Sender) -> None:
    def sent(body: bytes) -> httpx.Response:
        return send(sender, body, form="store")

    assert sent(b64encode(zlib.compress(json.dumps(EVENT).encode()))).status_code == 200
    assert the_entry(sender)[b"type"] == b"CheckoutFailed"
    assert_refused(sent(b"eJ!!"), 400, "invalid_encoding")
    assert_refused(sent(b64encode(b"x\x9cno")), 400, "invalid_encoding")
    assert_refused(sent(b64encode(zlib.compress(b" " * 6 * 1024 * 1024))), 413, "body_too_large")


def test_an_unknown_coding_is_refused(sender: Sender) -> None:
    auth = {"X-Sentry-Auth": f"Sentry sentry_key={sender.minted.api_key}", "Content-Encoding": "br"}
    assert_refused(send(sender, b"{}", headers=auth), 415, "unsupported_encoding")


@pytest.mark.parametrize("coding", ["identity", "gzip"])
@pytest.mark.parametrize("where", ["x-sentry-auth", "authorization", "query", "dsn", "x-api-key"])
def test_the_key_is_found_wherever_an_sdk_has_it(sender: Sender, where: str, coding: str) -> None:
    key = sender.minted.api_key
    headers = {
        "x-sentry-auth": {"X-Sentry-Auth": f"Sentry sentry_version=7,sentry_key={key},sentry_client=a/1"},
        "authorization": {"Authorization": f"sentry sentry_key={key}"},
        "x-api-key": {"X-Api-Key": key},
    }.get(where, {})
    query = f"?sentry_version=7&sentry_key={key}&sentry_client=b" if where == "query" else ""
    header = {"dsn": f"https://{key}@ingest.example.com/1"} if where == "dsn" else {}
    body = envelope(item(EVENT), **header)
    sent = headers | {"Content-Encoding": coding, "Content-Type": "text/plain;charset=UTF-8"}
    content = gzip.compress(body) if coding == "gzip" else body
    assert send(sender, content, query=query, headers=sent).status_code == 200
    assert len(sender.published()) == 1


def test_a_wrong_key_is_403_and_a_missing_one_401_with_a_body_that_sdks_log(sender: Sender) -> None:
    body = envelope(item(EVENT))
    wrong = send(sender, body, headers={"X-Sentry-Auth": "Sentry sentry_key=vig_live_wrong"})
    assert_refused(wrong, 403, "invalid_api_key")
    assert wrong.headers["x-sentry-error"] == "invalid_api_key"
    for without in (
        body,
        b"",
        b"\xff",
        envelope(dsn="https://ingest.example.com/1"),
        envelope(dsn="http://["),
    ):
        assert_refused(send(sender, without, headers={}), 401, "missing_api_key")
    assert sender.published() == []


@pytest.mark.parametrize(
    "path", ["/api/x/envelope/", "/api/1/other/", "/api/-1/store/", "/api/" + "9" * 30 + "/store/"]
)
def test_the_project_of_the_path_has_digits_only(sender: Sender, path: str) -> None:
    headers = {"X-Api-Key": sender.minted.api_key}
    assert sender.http.post(path, content=b"{}", headers=headers).status_code == 404


def test_a_path_without_its_last_slash_is_taken(sender: Sender) -> None:
    headers = {"X-Api-Key": sender.minted.api_key}
    assert (
        sender.http.post("/api/42/envelope", content=envelope(item(EVENT)), headers=headers).status_code
        == 200
    )


def test_other_items_are_counted_and_not_stored(sender: Sender, service: Service) -> None:
    before = scrape(service)
    body = envelope(
        item({"sid": "s"}, "session"),
        item(b"\x00\xff\n binary", "attachment", length=10, filename="a.bin"),
        item({}, "from_the_future"),
        item(b"", "attachment", length=0),
        item(EVENT),
        event_id=EVENT_ID,
    )
    assert send(sender, body).json() == {"id": EVENT_ID}
    assert the_entry(sender)[b"type"] == b"CheckoutFailed"
    after = scrape(service)
    for type_, count in {"session": 1, "attachment": 2, "unknown": 1, "event": 1}.items():
        was = before.value("vigilry_sentry_items_total", type=type_) or 0
        assert (after.value("vigilry_sentry_items_total", type=type_) or 0) - was == count, type_


def test_an_envelope_without_events_is_taken(sender: Sender) -> None:
    assert send(sender, envelope()).json() == {}
    assert send(sender, envelope(item({}, "client_report"))).json() == {}
    assert send(sender, b"{}").json() == {}
    assert sender.published() == []


def test_items_that_the_operator_names_are_stored(service: Service, valkey: Valkey, engine: Engine) -> None:
    settings = service.settings | {"VIGILRY_SENTRY_ITEMS": "check_in, transaction,user_report"}
    with Service(settings) as storing:
        sender = Sender(storing, valkey, mint(engine, "stores more", "production"))
        body = envelope(
            item({"monitor_slug": "backup", "status": "error"}, "check_in"),
            item({"event_id": EVENT_ID, "transaction": "/pay", "tags": {"a": "b"}}, "transaction"),
            item({"event_id": EVENT_ID, "comments": "It broke"}, "user_report"),
            item({"sid": "s"}, "session"),
        )
        assert send(sender, body).status_code == 200
        assert send(sender, body).status_code == 200
        seen = [(each[b"type"], each[b"severity"], each[b"message"]) for each in sender.published()]
        sender.close()
    once = [(b"check_in", b"ERROR", b"backup error"), (b"user_report", b"INFO", b"It broke")]
    assert sorted(seen) == sorted([(b"transaction", b"INFO", b"/pay"), *once, *once])


def test_one_bad_item_does_not_refuse_the_rest(sender: Sender) -> None:
    answer = send(sender, envelope(item(b"{"), item(EVENT), item(b"[]"), b"no header\n"))
    assert answer.status_code == 200
    errors = answer.json()["errors"]
    assert [each["pointer"] for each in errors] == ["/items/0", "/items/2", ""]
    assert [each["code"] for each in errors] == ["malformed_json", "wrong_type", "malformed_envelope"]
    assert len(sender.published()) == 1


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "malformed_envelope"),
        (b"[]", "malformed_envelope"),
        (b"\xff\xfe", "malformed_envelope"),
        (b"{}\nno header\n{}", "malformed_envelope"),
        (b'{}\n{"type":3}\n{}', "malformed_envelope"),
        (b'{}\n{"type":"event","length":-1}\n{}', "malformed_envelope"),
        (b'{}\n{"type":"event","length":900}\n{}', "malformed_envelope"),
        (b'{}\n{"type":"event","length":1}\n{}', "malformed_envelope"),
        (b"{" + b" " * 70_000 + b"}\n", "malformed_envelope"),
        (b'{}\n{"type":"event"}\n{"message":', "malformed_json"),
        (b'{}\n{"type":"event"}\n{"a":1,"a":2}', "malformed_json"),
        (b'{}\n{"type":"event"}\n3', "invalid_event"),
        (envelope(item(b"3"), item(b"4")), "invalid_event"),
        (envelope(item({"exception": [{}] * 200})), "invalid_event"),
        (envelope(item({"exception": [1]})), "invalid_event"),
    ],
)
def test_what_is_no_envelope_or_no_event_is_refused(sender: Sender, body: bytes, code: str) -> None:
    assert_refused(send(sender, body), 400, code)
    assert sender.published() == []


def test_an_envelope_of_too_many_items_is_refused(sender: Sender) -> None:
    for many in (envelope(*[item({}, "session")] * 1001), envelope(*[item({})] * 101)):
        assert_refused(send(sender, many), 413, "batch_too_large")
    assert sender.published() == []


def test_a_limited_project_is_told_how_long_to_wait_in_the_sdks_terms(sender: Sender, engine: Engine) -> None:
    limit(engine, sender.minted.project_id, Quota(1, 1))
    assert send(sender, b'{"message":"m"}', form="store").status_code == 200
    for _ in range(2):
        answer = send(sender, envelope(item({"message": "m"})))
        assert_refused(answer, 429, "rate_limited")
        seconds = answer.headers["retry-after"]
        assert answer.headers["x-sentry-rate-limits"] == f"{seconds}::project:rate_limited"
    assert len(sender.published()) == 1


def test_metrics_count_events_by_outcome(sender: Sender, service: Service) -> None:
    def counts() -> dict[str, float]:
        seen = scrape(service)
        outcomes = ("accepted", "duplicate", "rejected")
        return {
            each: seen.value("vigilry_events_total", kind="sentry", outcome=each) or 0 for each in outcomes
        }

    before = counts()
    send(sender, envelope(item(EVENT), item(b"[]")))
    send(sender, envelope(item(EVENT)))
    send(sender, envelope(item(b"[]")))
    after = counts()
    assert {name: after[name] - before[name] for name in after} == {
        "accepted": 1,
        "duplicate": 1,
        "rejected": 2,
    }
