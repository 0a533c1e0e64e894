"""Recorded requests of SDKs are taken or refused, mapped and counted as the documentation says."""

import json
from collections import Counter
from typing import Any

import pytest

from tests.fixtures.scrape import Scrape, scrape
from tests.fixtures.sender import Sender
from tests.sentry.corpus import Recorded, items_of, recorded
from vigilry_ingest.api.schemas.sentry_items import KNOWN_ITEMS

pytestmark = pytest.mark.one_database

_SEVERITIES = {"fatal": "CRITICAL", "error": "ERROR", "warning": "WARN"} | dict.fromkeys(
    ["info", "log", "debug"], "INFO"
)
_SDKS = sorted({each.sdk for each in recorded()})


def test_there_are_a_thousand_requests_of_many_sdks() -> None:
    names = {each.sdk.partition("/")[0] for each in recorded()}
    assert len(recorded()) >= 1000
    assert {"sentry.python", "sentry.javascript.node", "sentry.javascript.browser", "raven-python"} < names
    assert len(names) >= 20


def test_the_types_of_all_items_that_sdks_send_are_known() -> None:
    sent = {type_ for each in recorded() if each.status == 200 for type_, _ in typed_items(each)}
    assert sent - KNOWN_ITEMS == {"of_later"}


@pytest.mark.parametrize("sdk", _SDKS)
def test_the_requests_of_an_sdk_are_taken_or_refused_and_mapped(sender: Sender, sdk: str) -> None:
    before = scrape(sender.service)
    expected: dict[str, bytes] = {}
    counts: Counter[str] = Counter()
    for request in (each.with_key(sender.minted.api_key) for each in recorded() if each.sdk == sdk):
        answer = posted(sender, request)
        assert answer == request.status, (request, answer)
        if request.status == 200:
            items = typed_items(request)
            counts.update(type_ if type_ in KNOWN_ITEMS else "unknown" for type_, _ in items)
            expected |= {event_id(request, text): text for type_, text in items if type_ == "event"}
    published = {entry[b"idempotency_key"].decode(): entry for entry in sender.published()}
    assert published.keys() == expected.keys()
    for own_id, text in expected.items():
        assert_mapped(published[own_id], text)
    after = scrape(sender.service)
    if sdk != "broken/1.0":
        assert {type_: counted(after, type_) - counted(before, type_) for type_ in counts} == counts


def posted(sender: Sender, request: Recorded) -> int:
    """Send a request, and return the status of the answer."""
    url = f"/api/1/{request.form}/?{request.query}"
    return sender.http.post(url, content=request.coded, headers=dict(request.headers)).status_code


def typed_items(request: Recorded) -> list[tuple[str, bytes]]:
    """Return the type and the payload of each item."""
    if request.form == "store":
        return [("event", request.body)]
    return [(json.loads(line)["type"], payload) for line, payload in items_of(request.body)]


def event_id(request: Recorded, text: bytes) -> str:
    """Return the id of an event, or that of its envelope."""
    own = json.loads(text).get("event_id") or json.loads(request.body.partition(b"\n")[0])["event_id"]
    return str(own).replace("-", "")


def counted(seen: Scrape, type_: str) -> float:
    """Return how many items of a type were counted."""
    return seen.value("vigilry_sentry_items_total", type=type_)


def assert_mapped(entry: dict[bytes, bytes], text: bytes) -> None:
    """Check an entry against the table of the documentation."""
    event = json.loads(text)
    given = event.get("exception") or []
    exceptions = [each for each in (given.get("values", []) if isinstance(given, dict) else given) if each]
    last = exceptions[-1] if exceptions else {}
    assert entry[b"payload"] == text
    assert entry[b"kind"] == b"sentry"
    assert entry[b"type"].decode() == (last.get("type") or "message")
    default = "ERROR" if exceptions else "INFO"
    assert entry[b"severity"].decode() == _SEVERITIES.get(event.get("level") or "", default)
    message = last.get("value") or message_of(event) or last.get("type") or "(no message)"
    assert entry[b"message"].decode() == readable(message)
    source = event.get("server_name") or event.get("sdk", {}).get("name")
    assert entry.get(b"source", b"").decode() == (source or "")
    assert json.loads(entry.get(b"correlation", b"{}")) == correlation_of(event)


def message_of(event: dict[str, Any]) -> str:
    """Return the message of an event without an exception's value."""
    entry, message = event.get("logentry") or {}, event.get("message") or ""
    if isinstance(message, dict):
        message = message.get("formatted") or message.get("message")
    return str(entry.get("formatted") or message or entry.get("message") or "")


def correlation_of(event: dict[str, Any]) -> dict[str, Any]:
    """Return the attributes and tags of an event within the limits."""
    trace = event.get("contexts", {}).get("trace") or {}
    tags = event.get("tags") or {}
    members = dict(tags if isinstance(tags, dict) else map(tuple, tags))
    members |= {
        "user_id": (event.get("user") or {}).get("id"),
        "release": event.get("release"),
        "environment": event.get("environment"),
        "transaction": event.get("transaction"),
        "trace_id": trace.get("trace_id"),
        "span_id": trace.get("span_id"),
    }
    return {
        name: value
        for name, value in members.items()
        if isinstance(value, str | int | float) and value != "" and len(json.dumps(value)) <= 1024
    }


def readable(text: str) -> str:
    """Return a text with each half of a surrogate pair replaced."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
