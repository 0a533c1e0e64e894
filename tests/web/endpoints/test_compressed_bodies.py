"""Compressed bodies over HTTP: taken at every endpoint, bounded, and refused when they are not whole."""

import gzip
import itertools
import json
import zlib
from collections.abc import Callable

import httpx
import psutil  # type: ignore[import-untyped]  # psutil ships no types
import pytest

from tests.fixtures.sender import EXAMPLES, Sender, assert_refused
from tests.fixtures.servers.gunicorn import Service
from vigilry_ingest.web.decompression import zstd

ENDPOINTS = list(EXAMPLES)
CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "GZip": gzip.compress,
    "zstd": zstd.compress,
    "ZSTD": zstd.compress,
    "identity": bytes,
    "": bytes,
}
MOST = 5 * 1024 * 1024
GIB = 1 << 30


def post(
    sender: Sender, body: bytes, coding: str, endpoint: str = "events", key: str | None = None
) -> httpx.Response:
    """Post a body under a Content-Encoding."""
    headers = {"Content-Encoding": coding} | ({"Idempotency-Key": key} if key else {})
    return sender.post(endpoint, body, headers=headers)


def text_of(endpoint: str) -> bytes:
    """Write an endpoint's example as JSON."""
    return json.dumps(EXAMPLES[endpoint]).encode()


def content(entry: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """Leave out what differs from one event to the next."""
    return {name: entry[name] for name in entry if name not in {b"_id", b"id", b"request_id", b"received_at"}}


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_compressed_body_is_taken_as_what_it_holds(sender: Sender, endpoint: str, coding: str) -> None:
    text = text_of(endpoint).replace(b"evt_1ABC", b"evt_2ABC")
    assert post(sender, CODINGS[coding](text), coding, endpoint).status_code == 202
    assert sender.post(endpoint, text.replace(b"evt_2ABC", b"evt_3ABC")).status_code == 202
    first, second = (content(each) for each in sender.published())
    second = {name: value.replace(b"evt_3ABC", b"evt_2ABC") for name, value in second.items()}
    assert first == second


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_several_parts_in_a_row_are_one_body(sender: Sender, coding: str) -> None:
    text = text_of("events")
    body = b"".join(CODINGS[coding](text[at : at + 40]) for at in range(0, len(text), 40))
    assert post(sender, body, coding).status_code == 202
    assert sender.published()[0][b"message"] == b"Payment gateway returned 402"


def corrupt_gzip() -> bytes:
    """Compress an example, and change its checksum."""
    body = bytearray(gzip.compress(text_of("events")))
    body[-6] ^= 1
    return bytes(body)


def wide_zstd() -> bytes:
    """Compress an example so that its frame asks for a window of 128 MiB."""
    compressor = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 27})
    return bytes(compressor.compress(text_of("events")) + compressor.flush())


BROKEN = {
    "not gzip at all": ("gzip", text_of("events")),
    "not zstd at all": ("zstd", text_of("events")),
    "gzip named zstd": ("zstd", gzip.compress(text_of("events"))),
    "zstd named gzip": ("gzip", zstd.compress(text_of("events"))),
    "bare deflate": ("gzip", zlib.compress(text_of("events"))),
    "no bytes of gzip": ("gzip", b""),
    "no bytes of zstd": ("zstd", b""),
    "a checksum that is wrong": ("gzip", corrupt_gzip()),
    "something after the gzip": ("gzip", gzip.compress(text_of("events")) + b"more"),
    "something after the zstd": ("zstd", zstd.compress(text_of("events")) + b"more"),
    "too many gzip members": ("gzip", gzip.compress(text_of("events")) + gzip.compress(b"") * 100),
    "too many zstd frames": ("zstd", zstd.compress(text_of("events")) + zstd.compress(b"") * 100),
    "a window of 128 MiB": ("zstd", wide_zstd()),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_body_that_is_not_whole_is_refused_and_nothing_is_published(sender: Sender, case: str) -> None:
    coding, body = BROKEN[case]
    assert not assert_refused(post(sender, body, coding), 400, "invalid_encoding")["retryable"]
    assert sender.published() == []


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_a_body_cut_off_anywhere_is_refused(sender: Sender, coding: str) -> None:
    body = CODINGS[coding](text_of("events"))
    for length in range(1, len(body), 7):
        assert_refused(post(sender, body[:length], coding), 400, "invalid_encoding")
    assert sender.published() == []


@pytest.mark.parametrize(
    "coding", ["br", "deflate", "compress", "gzip, zstd", "gzip,gzip", "zstd;q=1", "none"]
)
@pytest.mark.parametrize("endpoint", [*ENDPOINTS, "batch"])
def test_an_unknown_coding_is_refused_with_those_that_are_known(
    sender: Sender, endpoint: str, coding: str
) -> None:
    answer = post(sender, b"{}", coding, endpoint)
    assert_refused(answer, 415, "unsupported_encoding")
    assert answer.headers["accept-encoding"] == "gzip, zstd"
    assert sender.published() == []


def padded(size: int) -> bytes:
    """Write an event of exactly so many bytes."""
    head = b'{"type":"t","severity":"INFO","message":"'
    return head + b"a" * (size - len(head) - 2) + b'"}'


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_the_limit_on_what_comes_out_is_exact(sender: Sender, coding: str) -> None:
    assert post(sender, CODINGS[coding](padded(MOST)), coding).status_code == 202
    problem = assert_refused(post(sender, CODINGS[coding](padded(MOST + 1)), coding), 413, "body_too_large")
    assert "VIGILRY_MAX_DECOMPRESSED_BYTES" in problem["detail"]
    assert "5,242,880" in problem["detail"]
    halves = CODINGS[coding](padded(MOST)) + CODINGS[coding](b" ")
    assert_refused(post(sender, halves, coding), 413, "body_too_large")
    assert len(sender.published()) == 1


def test_the_limit_on_the_wire_holds_for_compressed_bytes_too(sender: Sender) -> None:
    stored = zlib.compressobj(level=0, wbits=31)
    body = stored.compress(padded(1_100_000)) + stored.flush()
    problem = assert_refused(post(sender, body, "gzip"), 413, "body_too_large")
    assert "VIGILRY_MAX_BODY_BYTES" in problem["detail"]


def gzip_bomb() -> bytes:
    """Make a gzip body that would be a gibibyte."""
    compressor = zlib.compressobj(level=9, wbits=31)
    block = compressor.compress(bytes(GIB // 1024))
    return block + b"".join(compressor.compress(bytes(GIB // 1024)) for _ in range(900)) + compressor.flush()


def zstd_bomb() -> bytes:
    """Make a zstd body that would be a gibibyte."""
    compressor = zstd.ZstdCompressor()
    return b"".join(compressor.compress(bytes(GIB // 1024)) for _ in range(1024)) + compressor.flush()


@pytest.mark.parametrize(("coding", "make"), [("gzip", gzip_bomb), ("zstd", zstd_bomb)])
def test_a_bomb_is_refused_and_the_worker_stays_as_small_as_it_was(
    sender: Sender, service: Service, coding: str, make: Callable[[], bytes]
) -> None:
    bomb = make()
    assert len(bomb) < 1024 * 1024
    worker = psutil.Process(service.worker_pids()[0])
    # What the limit itself takes is not what is looked for.
    post(sender, CODINGS[coding](padded(MOST)), coding)
    before = worker.memory_info().rss
    for _ in range(20):
        assert_refused(post(sender, bomb, coding), 413, "body_too_large")
    assert worker.memory_info().rss - before < 30 * 1024 * 1024


def test_a_retry_may_be_compressed_otherwise(sender: Sender) -> None:
    codings = ["gzip", "zstd", "identity"]
    answers = [
        post(sender, CODINGS[coding](text_of("events")), coding, key="order-4421") for coding in codings
    ]
    assert {answer.json()["jobId"] for answer in answers} == {answers[0].json()["jobId"]}
    assert [answer.headers.get("idempotent-replayed") for answer in answers] == [None, "true", "true"]
    assert len(sender.published()) == 1


def test_json_inside_is_checked_as_ever(sender: Sender) -> None:
    for coding, body in itertools.product(["gzip", "zstd"], [b"", b"{", b"[", b"\xff", b'{"a":1,"a":2}']):
        assert_refused(post(sender, CODINGS[coding](body), coding), 400, "malformed_json")
