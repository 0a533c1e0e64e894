"""Groups of errors: variants of one error share a group, and different errors do not."""

import json
import random
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fixtures.cost import filled, takes_less
from vigilry_ingest.api.schemas import server_error
from vigilry_ingest.api.schemas.json_object import parse_object
from vigilry_ingest.domain.event import Event, EventMetadata
from vigilry_ingest.domain.fingerprint import GROUPED_KINDS, event_group, group_prefix
from vigilry_ingest.domain.message_pattern import pattern_of

pytestmark = pytest.mark.one_database

MAX_CPU_S = 0.02
VARIANTS = 200
METADATA = EventMetadata(
    id="evt_1",
    project_id="proj_1",
    environment="production",
    received_at="2026-01-31T00:00:00.000Z",
    request_id="r",
)
# The type, the message with places for what varies, and the functions of ten errors.
ERRORS: list[tuple[str, str, list[str]]] = [
    ("TypeError", "Cannot read properties of undefined (reading '{word}')", ["handle", "processOrder"]),
    ("TypeError", "Cannot read properties of undefined (reading '{word}')", ["handle", "refundOrder"]),
    ("RangeError", "Invalid array length {number}", ["handle", "processOrder"]),
    ("Error", "Order {id} not found for user {number}", ["findOrder", "loadPage"]),
    ("Error", "connect ECONNREFUSED 10.0.{small}.{small}:{number}", ["connect", "query"]),
    ("SyntaxError", "Unexpected token in JSON at position {number}", ["parseBody"]),
    ("TimeoutError", "Request {uuid} timed out after {number} ms", []),
    ("TimeoutError", "Lock {uuid} timed out after {number} ms", []),
    ("PaymentError", 'Card of "{word}" declined: https://pay.example/{id}', []),
    ("KeyError", "'{word}'", []),
]


def variant(text: str, drawn: random.Random) -> str:
    """Fill the places of a message."""
    return text.format(
        word="".join(drawn.choices("abcdefg", k=drawn.randint(1, 9))),
        number=drawn.randint(0, 10**9),
        small=drawn.randint(0, 255),
        id=f"ord_{drawn.randint(1, 10**6)}",
        uuid=uuid.UUID(int=drawn.getrandbits(128)),
    )


def as_server_error(kind: str, message: str, functions: list[str], drawn: random.Random) -> Event:
    """Build the event of a server error, with a stack if it has functions."""
    stack = f"{kind}: {message}" + "".join(
        f"\n    at {name} (/app/src/{name}.js:{drawn.randint(1, 900)}:{drawn.randint(1, 80)})"
        for name in functions
    )
    library = drawn.randint(1, 9)
    stack += f"\n    at next{library} (/app/node_modules/express/lib/router{library}.js:1:{library})"
    body = {
        "status_code": 500,
        "path": f"/orders/{drawn.random()}",
        "method": "GET",
        "error_message": message,
    }
    if functions:
        body["stack"] = stack
    else:
        body["error_message"] = f"{kind}: {message}"
    return server_error.to_event(parse_object(json.dumps(body).encode()), METADATA)


def as_sentry(kind: str, message: str, functions: list[str], drawn: random.Random) -> Event:
    """Build the event of an SDK."""
    exception: dict[str, Any] = {"type": kind, "value": message}
    if functions:
        library = {"function": f"lib{drawn.randint(1, 99)}", "module": "express", "in_app": False}
        own = [
            {"function": name, "module": "shop.orders", "lineno": drawn.randint(1, 999), "in_app": True}
            for name in functions
        ]
        exception["stacktrace"] = {"frames": [library, *own]}
    cause = {"type": "Cause", "value": str(drawn.random())}
    return sentry({"event_id": drawn.random(), "exception": {"values": [cause, exception]}})


def sentry(payload: Any, message: str = "a message") -> Event:
    """Build an event of an SDK from its payload."""
    return METADATA.event(
        kind="sentry", type="t", severity="ERROR", message=message, payload=json.dumps(payload).encode()
    )


@pytest.mark.parametrize("build", [as_server_error, as_sentry])
def test_variants_of_ten_errors_fall_into_ten_groups(build: Callable[..., Event]) -> None:
    drawn = random.Random(16)  # noqa: S311  # nothing here is secret
    groups: list[set[str | None]] = [set() for _ in ERRORS]
    for number in range(VARIANTS):
        kind, message, functions = ERRORS[number % len(ERRORS)]
        groups[number % len(ERRORS)].add(event_group(build(kind, variant(message, drawn), functions, drawn)))
    assert [len(each) for each in groups] == [1] * len(ERRORS)
    assert len(set.union(*groups)) == len(ERRORS)


def test_events_of_other_kinds_have_no_group() -> None:
    for kind in ("event", "webhook", "stripe"):
        event = METADATA.event(kind=kind, type="t", severity="ERROR", message="m", payload=b"{}")
        assert event_group(event) is None
    assert GROUPED_KINDS == ("sentry", "server_error")


def test_the_sdks_own_fingerprint_decides_and_may_extend_the_default() -> None:
    one, other = ({"exception": {"values": [{"type": kind}]}} for kind in ("A", "B"))
    own = {"fingerprint": ["checkout", 7]}
    assert event_group(sentry(one | own)) == event_group(sentry(other | own)) != event_group(sentry(one))
    for default in ("{{ default }}", "{{default}}"):
        assert event_group(sentry(one | {"fingerprint": [default]})) != event_group(
            sentry(other | {"fingerprint": [default]})
        )
        extended = [event_group(sentry(one | {"fingerprint": [default, part]})) for part in "xyx"]
        assert extended[0] == extended[2] != extended[1]
    assert event_group(sentry(one | {"fingerprint": []})) == event_group(sentry(one))


def test_projects_do_not_share_groups() -> None:
    event = sentry({})
    group = event_group(event)
    assert group is not None
    assert group.startswith(group_prefix("proj_1"))
    assert len(group) == 24


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["exception", "values", "stacktrace", "frames", "type", "value", "function", "fingerprint"]
            ),
            inner,
        )
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(["exception", "fingerprint", "logentry", "message", "x"]), JSON))
def test_any_payload_has_a_group_that_stays_the_same(payload: dict[str, Any]) -> None:
    first, again = event_group(sentry(payload)), event_group(sentry(payload))
    assert first is not None
    assert first == again


@given(st.lists(st.sampled_from(["Order", "of", "user", "not found", "is"]), min_size=1), st.data())
def test_numbers_ids_and_quoted_parts_do_not_change_a_pattern(words: list[str], data: st.DataObject) -> None:
    varying = st.one_of(
        st.integers().map(str),
        st.uuids().map(str),
        st.integers(0, 10**6).map("ord_{}".format),
        st.floats(allow_nan=False, allow_infinity=False).map(str),
        st.from_regex(r"'[a-z ]*'", fullmatch=True),
    )
    one, other = (" ".join(f"{word} {data.draw(varying)}" for word in words) for _ in range(2))
    assert pattern_of(one) == pattern_of(other)
    assert pattern_of(pattern_of(one)) == pattern_of(one)


@given(st.text())
def test_a_pattern_is_no_longer_than_its_text(text: str) -> None:
    assert len(pattern_of(text)) <= max(len(text), 1)


MIB = 1024 * 1024
FRAMES = b'{"exception":{"values":[{"type":"T","stacktrace":{"frames":['
LARGE = {
    "frames": filled(FRAMES, b'{"function":"a"},', b"{}]}}]}}", MIB),
    "empty frames": filled(FRAMES, b"{},", b"{}]}}]}}", MIB),
    "exceptions": filled(b'{"exception":{"values":[', b'{"type":"a"},', b"{}]}}", MIB),
    "names": filled(b"{", b'"":0,', b'"a":1}', MIB),
    "escapes": filled(FRAMES + b'{"function":"', rb"\u0000", b'"}]}}]}}', MIB),
    "words": filled(b'{"message":"', b"a1 ", b'"}', MIB),
    "quotes": filled(b'{"message":"', b"'", b'"}', MIB),
    "a long fingerprint": filled(b'{"fingerprint":["', b"a", b'"]}', MIB),
    "fingerprints": filled(b'{"fingerprint":[', b'"a",', b'"b"]}', MIB),
}


@pytest.mark.alone
@pytest.mark.parametrize("name", LARGE)
def test_a_mebibyte_is_fingerprinted_in_bounded_time(name: str) -> None:
    event = METADATA.event(kind="sentry", type="t", severity="ERROR", message="m", payload=LARGE[name])
    assert takes_less(lambda: event_group(event), MAX_CPU_S)
