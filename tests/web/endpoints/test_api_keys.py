"""The key hook: who is let in, who is not and learns nothing, and that no view lies beside it."""

import json
import socket
import string
import time
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from flask import Flask
from sqlalchemy import Engine, update
from werkzeug.routing import Rule

from tests.fixtures.sender import EXAMPLES, Sender, assert_refused
from tests.fixtures.servers.gunicorn import Service
from tests.fixtures.services import NewSender
from vigilry_ingest.api_keys.format import new_key
from vigilry_ingest.api_keys.registry import mint, revoke
from vigilry_ingest.app import create_app
from vigilry_ingest.config.settings import Config
from vigilry_ingest.storage.models import ApiKey

ENDPOINTS = list(EXAMPLES)
GOOD = json.dumps(EXAMPLES["events"]).encode()
JSON = "application/json"
BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
TTL_S = Config().key_cache_ttl_s
# What stands outside /ingest, and asks for no key. A new name here is a decision, not a repair.
OPEN = {
    "/",
    "/health/live",
    "/health/ready",
    "/metrics",
    "/openapi.json",
    "/asyncapi.json",
    "/docs",
    "/docs/errors",
    "/docs/errors/<code>",
    "/docs/examples",
    "/docs/examples/<name>",
    "/docs/assets/<path:name>",
}


# Checked otherwise than by the hook: a path, and the status of a request that says nothing of its sender.
OWN_HOOKS = {
    "/hooks/<source_id>": ("/hooks/src_1", 401),
    "/api/<digits:project>/<any(envelope, store):form>/": ("/api/1/store/", 401),
}


def knock(sender: Sender, *keys: str | bytes, endpoint: str = "events", body: bytes = GOOD) -> httpx.Response:
    """Post with these values of X-Api-Key, byte for byte."""
    headers = [(b"Content-Type", JSON.encode())]
    headers += [(b"X-Api-Key", key if isinstance(key, bytes) else key.encode("latin-1")) for key in keys]
    return sender.http.post(f"/ingest/{endpoint}", content=body, headers=headers)


def shape(answer: httpx.Response, code: str) -> dict[str, Any]:
    """Check a refusal for want of a key and give all of it that callers could compare."""
    problem = assert_refused(answer, 401, code)
    assert problem.pop("requestId")
    challenge = answer.headers["www-authenticate"]
    assert "X-Api-Key" in challenge
    return problem | {"challenge": challenge, "headers": sorted(set(answer.headers) - {"date"})}


def expire(engine: Engine, sender: Sender, at: datetime) -> None:
    """Let the sender's key expire at a moment."""
    with engine.begin() as connection:
        connection.execute(update(ApiKey).where(ApiKey.id == sender.minted.key_id).values(expires_at=at))


def mistyped(key: str) -> Iterator[str]:
    """Return a key with one character changed, at every place."""
    for place, character in enumerate(key):
        other = "x" if character != "x" else "y"
        yield key[:place] + other + key[place + 1 :]
    for place in range(len(key) - 1):
        if key[place] != key[place + 1]:
            yield key[:place] + key[place + 1] + key[place] + key[place + 2 :]


def with_checksum(body: str) -> str:
    """End a key as design.md has it: six characters of base 62 that hold the CRC-32 of the rest."""
    crc = zlib.crc32(body.encode())
    return body + "".join(BASE62[crc // 62**place % 62] for place in range(5, -1, -1))


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_missing_or_empty_key_is_told_how_to_send_one(sender: Sender, endpoint: str) -> None:
    answers = [knock(sender, *keys, endpoint=endpoint) for keys in ((), ("",))]
    missing, empty = (shape(answer, "missing_api_key") for answer in answers)
    assert "X-Api-Key" in missing["detail"]
    assert empty == missing
    assert sender.published() == []


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_unknown_mistyped_expired_and_revoked_keys_get_one_and_the_same_answer(
    new_sender: NewSender, engine: Engine, endpoint: str
) -> None:
    expired, revoked, other = (new_sender() for _ in range(3))
    expire(engine, expired, datetime.now(UTC) - timedelta(seconds=1))
    revoke(engine, revoked.minted.key_id)
    key = other.minted.api_key
    keys = {
        "expired": expired.minted.api_key,
        "revoked": revoked.minted.api_key,
        "unknown": new_key("production"),
        "unknown test key": new_key("development"),
        "mistyped": next(mistyped(key)),
        "other environment": key.replace("live", "test"),
        "other prefix": key.replace("vig", "sk"),
        "without its prefix": key.removeprefix("vig_live_"),
        "in capitals": key.upper(),
        "a word": "secret",
        "not ASCII": key[:-1] + "\xe9",
        "long": key * 100,
    }
    found = {
        name: shape(knock(other, each, endpoint=endpoint), "invalid_api_key") for name, each in keys.items()
    }
    assert found == dict.fromkeys(keys, found["unknown"])
    for sender in (expired, revoked, other):
        assert sender.published() == []


def test_a_key_with_one_character_wrong_or_two_swapped_opens_nothing(sender: Sender) -> None:
    keys = list(mistyped(sender.minted.api_key))
    assert len(keys) > 80
    for key in keys:
        assert_refused(knock(sender, key), 401, "invalid_api_key")
    assert knock(sender, sender.minted.api_key).status_code == 202
    assert len(sender.published()) == 1


def test_a_key_that_begins_alike_and_has_its_checksum_right_opens_nothing(sender: Sender) -> None:
    key = sender.minted.api_key
    assert with_checksum(key[:-6]) == key
    for kept in (38, 30, 25, 17, 9):
        # Never the key itself, whatever character it has there.
        other = "0" if key[kept] != "0" else "1"
        like_it = with_checksum((key[:kept] + other).ljust(39, "0"))
        assert_refused(knock(sender, like_it), 401, "invalid_api_key")
    assert sender.published() == []


@pytest.mark.parametrize(
    "strange",
    [
        b"\x80",
        b"\xe9",
        b"\xff",
        b"\xc3\xa9",
        b"\xef\xbc\x90",
        b"\xf0\x9f\x98\x80",
        b"\xed\xa0\x80",
        b"\xc0\x80",
    ],
    ids=lambda strange: strange.hex(),
)
def test_a_key_with_bytes_beyond_ascii_opens_nothing(sender: Sender, strange: bytes) -> None:
    key = sender.minted.api_key.encode()
    for each in (strange, key[:20] + strange + key[21:], strange + key, key + strange, strange * 36):
        assert_refused(knock(sender, each), 401, "invalid_api_key")
    assert sender.published() == []


def test_a_key_in_another_form_than_alone_opens_nothing(sender: Sender) -> None:
    key = sender.minted.api_key
    for each in (f"Bearer {key}", f'"{key}"', f"{key},", f"{key},{key}", f"{key} x", f"{key};", f"%20{key}"):
        assert_refused(knock(sender, each), 401, "invalid_api_key")
    assert sender.published() == []


def test_two_keys_at_once_open_nothing(sender: Sender) -> None:
    key = sender.minted.api_key
    for pair in ((key, key), (key, new_key("production")), (new_key("production"), key)):
        assert_refused(knock(sender, *pair), 401, "invalid_api_key")
    assert sender.published() == []


def test_a_key_elsewhere_than_in_its_header_opens_nothing(sender: Sender) -> None:
    key = sender.minted.api_key
    elsewhere: list[dict[str, Any]] = [
        {"headers": {"Authorization": f"Bearer {key}"}},
        {"headers": {"X_Api_Key": key}},
        {"headers": {"Cookie": f"X-Api-Key={key}"}},
        {"params": {"X-Api-Key": key, "api_key": key}},
        {"auth": (key, "")},
    ]
    for options in elsewhere:
        assert_refused(
            sender.http.post("/ingest/events", json=EXAMPLES["events"], **options), 401, "missing_api_key"
        )
    assert sender.published() == []


def test_a_key_that_has_yet_to_expire_is_taken_until_it_does(sender: Sender, engine: Engine) -> None:
    end = datetime.now(UTC) + timedelta(seconds=0.7)
    expire(engine, sender, end)
    assert sender.post("events", EXAMPLES["events"]).status_code == 202
    time.sleep((end - datetime.now(UTC)).total_seconds() + 0.05)
    # The worker still remembers the key, and when it ends.
    assert_refused(sender.post("events", EXAMPLES["events"]), 401, "invalid_api_key")
    assert len(sender.published()) == 1


def test_a_revoked_key_is_refused_everywhere_once_the_workers_memory_has_run_out(
    sender: Sender, engine: Engine
) -> None:
    accepted = 0
    assert sender.post("events", EXAMPLES["events"]).status_code == 202
    revoke(engine, sender.minted.key_id)
    deadline = time.monotonic() + TTL_S + 0.5
    # It is used all the while, which must not keep it alive.
    while time.monotonic() < deadline:
        accepted += sender.post("events", EXAMPLES["events"]).status_code == 202
        time.sleep(0.02)
    for endpoint in ENDPOINTS:
        assert_refused(sender.post(endpoint, EXAMPLES[endpoint]), 401, "invalid_api_key")
    assert len(sender.published()) == 1 + accepted


def test_revoking_one_key_leaves_the_projects_others(sender: Sender, engine: Engine) -> None:
    second = mint(engine, sender.minted.project, "production")
    assert second.project_id == sender.minted.project_id
    revoke(engine, second.key_id)
    assert_refused(sender.post("events", EXAMPLES["events"], key=second.api_key), 401, "invalid_api_key")
    assert sender.published() == []
    assert sender.post("events", EXAMPLES["events"]).status_code == 202


BROKEN = {
    "an empty body": (b"", {}),
    "no JSON": (b"{", {}),
    "bad UTF-8": (b"\xff", {}),
    "another type": (GOOD, {"Content-Type": "text/plain"}),
    "an unknown encoding": (GOOD, {"Content-Encoding": "br"}),
    "an unusable idempotency key": (GOOD, {"Idempotency-Key": "x" * 300}),
    "two megabytes": (b" " * 2_000_000, {}),
}


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize(
    ("key", "code"),
    [(None, "missing_api_key"), (new_key("production"), "invalid_api_key")],
    ids=["no key", "unknown key"],
)
def test_a_sender_without_a_key_learns_nothing_of_the_body(
    sender: Sender, endpoint: str, key: str | None, code: str
) -> None:
    for body, headers in BROKEN.values():
        assert_refused(sender.post(endpoint, body, headers=headers, key=key), 401, code)
    assert sender.published() == []


@pytest.mark.parametrize("announced", ["Content-Length: 1000", "Transfer-Encoding: chunked"])
def test_a_key_is_refused_before_any_of_the_body_has_come(
    service: Service, sender: Sender, announced: str
) -> None:
    host, _, port = service.bind.partition(":")
    lines = ["POST /ingest/events HTTP/1.1", "Host: localhost", f"Content-Type: {JSON}", announced]
    lines += [f"X-Api-Key: {new_key('production')}", "", ""]
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall("\r\n".join(lines).encode())
        assert connection.recv(65_536).startswith(b"HTTP/1.1 401 ")
    assert sender.published() == []


@pytest.fixture
def app(tmp_path: Path) -> Flask:
    """Make the application alone: no broker and no database is there, and none is needed to refuse."""
    return create_app(
        Config(database_url=f"sqlite:///{tmp_path}/none.db", redis_url=f"unix://{tmp_path}/none.sock")
    )


def path_of(rule: Rule) -> str:
    """Return a path that a rule matches."""
    built = rule.build(dict.fromkeys(rule.arguments, "1"), append_unknown=False)
    assert built is not None
    return built[1]


def test_every_view_lies_below_the_key_hook_or_on_the_open_list(app: Flask) -> None:
    # Flask's own /static/<path> and any other rule that somebody adds must show up here too.
    rules = list(app.url_map.iter_rules())
    assert {rule.rule for rule in rules if not rule.rule.startswith("/ingest/")} <= OPEN | set(OWN_HOOKS)
    guarded = [rule for rule in rules if rule.rule.startswith("/ingest/")]
    assert {f"/ingest/{endpoint}" for endpoint in ENDPOINTS} <= {rule.rule for rule in guarded}
    client = app.test_client()
    for rule in guarded:
        for method in sorted(rule.methods or ()):
            for headers in ({}, {"X-Api-Key": "vig_live_nonsense"}):
                answer = client.open(path_of(rule), method=method, headers=headers)
                assert answer.status_code == 401, (rule, method)
                assert "WWW-Authenticate" in answer.headers
    for path, status in OWN_HOOKS.values():
        assert client.post(path, data=b"{}").status_code == status


def test_no_folder_is_served_as_static_files(app: Flask) -> None:
    assert app.static_folder is None
    assert app.view_functions.keys().isdisjoint({"static"})
    assert all(blueprint.static_folder is None for blueprint in app.blueprints.values())
