"""The cost of one request is bounded, whether it is accepted or refused."""

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from backports import zstd
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fixtures.cost import MAX_BODY, Cost, assert_cheap, cost_of, filled
from tests.fixtures.sender import EXAMPLES
from tests.fixtures.servers.valkey import Valkey
from vigilry_ingest.api_keys.registry import mint
from vigilry_ingest.app import create_app
from vigilry_ingest.config.settings import Config
from vigilry_ingest.storage.engine import make_engine
from vigilry_ingest.storage.migrate import upgrade

pytestmark = [pytest.mark.one_database, pytest.mark.alone]

EVENT = json.dumps(EXAMPLES["events"]).encode()


Post = Callable[..., Cost]


@pytest.fixture(scope="module")
def post(valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Post]:
    """Post a body within this process, and return what that cost."""
    folder: Path = tmp_path_factory.mktemp("cost")
    url = f"sqlite:///{folder}/vigilry.db"
    app = create_app(Config(database_url=url, redis_url=valkey.url, max_body_bytes=MAX_BODY + 100))
    engine = make_engine(url)
    upgrade(engine)

    def post(endpoint: str, body: bytes, content_type: str = "application/json") -> Cost:
        key = mint(engine, f"project {time.time_ns()}", "production").api_key
        coded = zstd.compress(body)
        headers = {"X-Api-Key": key, "Content-Type": content_type, "Content-Encoding": "zstd"}
        assert _post(app, endpoint, EVENT, headers | {"Content-Encoding": ""}) != 401
        return cost_of(lambda: _post(app, endpoint, coded, headers), len(body))

    yield post
    engine.dispose()


def _post(app: Flask, endpoint: str, body: bytes, headers: dict[str, str]) -> int:
    return app.test_client().post(f"/ingest/{endpoint}", data=body, headers=headers).status_code


def event_with(field: str, value: bytes, endpoint: str = "events") -> bytes:
    """Return an endpoint's example with the JSON text of a field."""
    return json.dumps(EXAMPLES[endpoint] | {field: "@@"}).encode().replace(b'"@@"', value)


def batch_of(*items: bytes) -> bytes:
    """Return a batch."""
    return b'{"events":[' + b",".join(items) + b"]}"


def members(count: int, start: int = 0) -> bytes:
    """Return members with different names."""
    return b",".join(b'"%d":1' % number for number in range(start, start + count))


BODIES: dict[str, tuple[str, bytes, int]] = {
    "repeated names": ("events", filled(b"{", b'"":0,', b'"a":1}'), 400),
    "unknown names": ("events", b"{" + members(400_000) + b"}", 400),
    "unknown names at Stripe": ("stripe", b'{"type":"t","data":{},' + members(400_000) + b"}", 400),
    "a correlation of short names": (
        "events", event_with("correlation", filled(b"{", b'"a":0,', b'"b":1}')), 400
    ),
    "a correlation of long values": (
        "events", event_with("correlation", b'{"a":' + b"9" * 5_000_000 + b"}"), 400
    ),
    "a correlation with a long name": (
        "events", event_with("correlation", b'{"' + b"a" * 5_000_000 + b'":1}'), 400
    ),
    "a payload of short names": ("events", event_with("payload", filled(b"{", b'"a":0,', b'"b":1}')), 202),
    "a payload of empty lists": (
        "webhook", event_with("payload", filled(b'{"":[', b"[],", b"1]}"), "webhook"), 202
    ),
    "Stripe data of short names": (
        "stripe", event_with("data", filled(b"{", b'"a":0,', b'"b":1}'), "stripe"), 202
    ),
    "a list of ones": ("events", filled(b"[", b"1,", b"1]"), 400),
    "a payload of ones": ("events", event_with("payload", filled(b'{"a":[', b"1,", b"1]}")), 202),
    "one letter": ("events", event_with("message", filled(b'"', b"a", b'"')), 202),
    "escapes": ("events", event_with("message", filled(b'"', rb"\n", b'"')), 202),
    "escaped letters": ("events", event_with("message", filled(b'"', rb"\u00e9", b'"')), 202),
    "escaped backslashes": ("events", event_with("message", filled(b'"', rb"\\", b'"')), 202),
    "digits": ("events", event_with("payload", filled(b'{"a":', b"9", b"}")), 202),
    "digits for a status": (
        "server-error", event_with("status_code", filled(b"", b"9", b""), "server-error"), 400
    ),
    "depth": ("events", filled(b"", b"[", b""), 400),
    "deep objects": ("events", filled(b"", b'{"a":', b""), 400),
    "depth in a payload": ("events", event_with("payload", filled(b'{"a":', b"[", b"}")), 400),
    "blanks": ("events", filled(b"", b" ", b""), 400),
    "quotation marks": ("events", filled(b"", b'"', b""), 400),
    "backslashes": ("events", filled(b'{"', b"\\", b""), 400),
    "few lone surrogates": ("events", event_with("payload", b'{"a":"' + rb"\ud800" * 9_000 + b'"}'), 202),
    "lone surrogates": ("events", event_with("payload", filled(b'{"a":"', rb"\ud800", b'"}')), 400),
    "lone surrogates in a message": ("events", event_with("message", filled(b'"', rb"\ud800", b'"')), 400),
    "surrogate pairs and a lone one": (
        "events", event_with("payload", filled(b'{"a":"', rb"\ud83d\ude00", rb'\ud800"}')), 400
    ),
    "invalid UTF-8": ("events", filled(b'{"a":"', b"\xff", b'"}'), 400),
    "long text in every field": (
        "server-error", json.dumps(dict.fromkeys(["path", "error_message"], "é" * 400_000)).encode(), 400
    ),
    "a batch of ones": ("batch", filled(b'{"events":[', b"1,", b"1]}"), 413),
    "a batch of empty objects": ("batch", filled(b'{"events":[', b"{},", b"{}]}"), 413),
    "a batch of a thousand ones": ("batch", batch_of(*[b"1"] * 1000), 400),
    "a batch of a thousand unknown fields": ("batch", batch_of(*[b'{"a":1}'] * 1000), 400),
    "a batch of a thousand lone surrogates": ("batch", batch_of(*[rb'{"a":"\ud800"}'] * 1000), 400),
    "a batch of two wide items": ("batch", batch_of(*[b"{" + members(190_000) + b"}"] * 2), 400),
    "a batch of a thousand wide events": (
        "batch", batch_of(*[b'{"kind":"stripe","type":"t","data":{},' + members(250) + b"}"] * 1000), 202
    ),
    "a batch of a thousand items that are too wide": (
        "batch", batch_of(*[b"{" + members(300) + b"}"] * 1000), 400
    ),
    "a batch of fields beside": ("batch", b'{"events":[{}],' + members(400_000) + b"}", 400),
}  # fmt: skip
LINES: dict[str, tuple[bytes, int]] = {
    "empty lines": (b"\n" * 5_000_000, 400),
    "blank lines": (b" \n" * 2_500_000, 400),
    "lines of ones": (b"1\n" * 2_500_000, 413),
    "one line of blanks": (b" " * 5_000_000 + b"\n1", 400),
    "a wide line": (b"{" + members(400_000) + b"}\n", 400),
    "a thousand lines of invalid UTF-8": (b'{"a":"\xff"}\n' * 1000, 400),
}


# Pieces that a body is made of; repeated, they are deep, wide, long, or cut off in the middle.
PIECES = st.one_of(
    st.sampled_from([
        b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b" ", b"\n", b"1", b"-", b"e", b"null", b'"":0,',
        b'"a":', b'{"a":', b"[1,", b'"events":[', b'"type":"t",', b'"correlation":{', b'"payload":{',
        b'"message":"', b'"stack":"', rb"\ud83d", rb"\udc00", rb"\u0000", rb"\n", b"\xff",
        b"\xf0\x9f\x98\x80",
    ]),
    st.binary(min_size=1, max_size=8),
)  # fmt: skip
RUNS = st.lists(
    st.tuples(PIECES, st.sampled_from([1, 1, 1, 3, 300, 70_000, 300_000])), min_size=1, max_size=8
)
AROUND = st.sampled_from([
    (b"", b""), (b"{", b"}"), (b'{"events":[', b"]}"), (b'{"type":"t","data":{', b"}}"),
    (b'{"type":"t","severity":"INFO","message":"m","payload":{"a":"', b'"}}'),
    (b'{"type":"t","severity":"INFO","message":"m","correlation":{', b"}}"),
])  # fmt: skip


@pytest.mark.parametrize("name", BODIES)
def test_a_body_costs_little_beyond_its_size(post: Post, name: str) -> None:
    endpoint, body, status = BODIES[name]
    assert_cheap(post(endpoint, body), status)


@pytest.mark.parametrize("name", LINES)
def test_lines_cost_little_beyond_their_size(post: Post, name: str) -> None:
    body, status = LINES[name]
    assert_cheap(post("batch", body, "application/x-ndjson"), status)


@pytest.mark.parametrize("endpoint", [*EXAMPLES, "batch"])
@given(around=AROUND, runs=RUNS)
@settings(
    max_examples=int(os.environ.get("COST_EXAMPLES", "40")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_no_body_costs_much_or_is_answered_with_5xx(
    post: Post, endpoint: str, around: tuple[bytes, bytes], runs: list[tuple[bytes, int]]
) -> None:
    inside = b"".join(piece * count for piece, count in runs)[: MAX_BODY - 1000]
    cost = post(endpoint, around[0] + inside + around[1])
    assert cost.status < 500
    assert_cheap(cost, cost.status)
