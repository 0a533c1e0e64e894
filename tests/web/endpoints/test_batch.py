"""Batches over HTTP: each item as at its own endpoint, taken or rejected by itself, in one round trip."""

import gzip
import json
import time
from typing import Any

import httpx
import pytest

from tests.fixtures.databases import KeyStore
from tests.fixtures.sender import (
    EXAMPLES,
    Sender,
    assert_503,
    assert_refused,
    at_once,
    published_ids,
    wait_accepted,
)
from tests.fixtures.servers.valkey import Valkey

KINDS = {"events": "event", "server-error": "server_error", "webhook": "webhook", "stripe": "stripe"}
EVENT = EXAMPLES["events"]
NDJSON = {"Content-Type": "application/x-ndjson"}


def an_event(number: int = 0, **others: Any) -> dict[str, Any]:
    """Write a small event that can be distinguished from others."""
    return {"type": "t", "severity": "INFO", "message": f"message {number}"} | others


def post(sender: Sender, *items: Any) -> httpx.Response:
    """Post a batch."""
    return sender.post("batch", {"events": items})


def results_of(answer: httpx.Response) -> list[dict[str, Any]]:
    """Check that a batch was accepted and its sums are right, and return what became of each item."""
    assert answer.status_code == 202, answer.text
    body = answer.json()
    results: list[dict[str, Any]] = body["results"]
    assert [result["index"] for result in results] == list(range(len(results)))
    queued = [result for result in results if result["status"] == "queued"]
    assert (body["accepted"], body["rejected"]) == (len(queued), len(results) - len(queued))
    return results


def ids_of(answer: httpx.Response) -> list[str]:
    """Return the jobIds of a batch all of whose items were accepted."""
    return [result["jobId"] for result in results_of(answer)]


def content(entry: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """Leave out what differs from one event to the next."""
    return {name: entry[name] for name in entry if name not in {b"_id", b"id", b"request_id", b"received_at"}}


def messages(sender: Sender) -> list[str]:
    """Return the messages on the stream, oldest first."""
    return [entry[b"message"].decode() for entry in sender.published()]


@pytest.mark.parametrize("endpoint", KINDS)
def test_an_item_is_what_it_is_at_its_own_endpoint(sender: Sender, endpoint: str) -> None:
    example = {name: value for name, value in EXAMPLES[endpoint].items() if name != "id"}
    # Written without spaces, as what is left of an item is.
    assert sender.post(endpoint, json.dumps(example, separators=(",", ":")).encode()).status_code == 202
    batch = json.dumps({"events": [{"kind": KINDS[endpoint]} | example]}, separators=(",", ":"))
    assert len(ids_of(sender.post("batch", batch.encode()))) == 1
    alone, in_batch = (content(entry) for entry in sender.published())
    assert alone == in_batch


def test_all_kinds_go_in_one_batch_and_stay_in_order(sender: Sender) -> None:
    items = [{"kind": kind} | EXAMPLES[endpoint] for endpoint, kind in KINDS.items()] * 3
    for number, item in enumerate(items):
        if item["kind"] == "stripe":
            items[number] = item | {"id": f"evt_{number}"}
    ids = ids_of(post(sender, *items))
    assert ids == published_ids(sender)
    assert [entry[b"kind"].decode() for entry in sender.published()] == [item["kind"] for item in items]
    assert len({entry[b"id"] for entry in sender.published()}) == len(items)
    assert len({entry[b"request_id"] for entry in sender.published()}) == 1


@pytest.mark.parametrize("item", [EVENT, EVENT | {"kind": None}, EVENT | {"kind": "event"}])
def test_an_item_without_a_kind_is_an_event(sender: Sender, item: dict[str, Any]) -> None:
    assert len(ids_of(post(sender, item))) == 1
    assert sender.published()[0][b"kind"] == b"event"


def test_a_stripe_item_is_kept_as_it_was_sent_without_its_envelope(sender: Sender) -> None:
    text = (
        b'{"events":[{ "kind" : "stripe","type":"a\\u0062","n":1e2 ,"data": {"x": 1.10},'
        b'"idempotencyKey":"k","id":"evt_9","t":"\\u00e9\\/" , "l":[1, 2]}]}'
    )
    assert len(ids_of(sender.post("batch", text))) == 1
    assert sender.published()[0][b"payload"] == (
        b'{"type":"a\\u0062","n":1e2,"data":{"x": 1.10},"id":"evt_9","t":"\\u00e9\\/","l":[1, 2]}'
    )


@pytest.mark.parametrize("type_", ["application/x-ndjson", "application/x-ndjson; charset=UTF-8"])
def test_lines_of_json_are_a_batch_too(sender: Sender, type_: str) -> None:
    lines = [json.dumps(an_event(number)).encode() for number in range(3)]
    text = b"\n" + lines[0] + b"\r\n\r\n  \n" + lines[1] + b"\n" + lines[2]
    assert ids_of(sender.post("batch", text, headers={"Content-Type": type_})) == published_ids(sender)
    assert messages(sender) == ["message 0", "message 1", "message 2"]


BAD_ITEMS: dict[str, tuple[str, str, list[str]]] = {
    "a number": ("5", "invalid_event", [""]),
    "null": ("null", "invalid_event", [""]),
    "a list": ("[1]", "invalid_event", [""]),
    "a name twice": ('{"type":"a","type":"b"}', "malformed_json", [""]),
    "an unknown kind": ('{"kind":"page"}', "invalid_event", ["/kind"]),
    "an empty kind": ('{"kind":""}', "invalid_event", ["/kind"]),
    "a kind that is no string": ('{"kind":{}}', "invalid_event", ["/kind"]),
    "the endpoint for a kind": ('{"kind":"server-error"}', "invalid_event", ["/kind"]),
    "a key that is no string": (
        json.dumps(an_event(idempotencyKey=5)),
        "invalid_event",
        ["/idempotencyKey"],
    ),
    "an empty key": (
        json.dumps(an_event(idempotencyKey="")),
        "invalid_idempotency_key",
        ["/idempotencyKey"],
    ),
    "a key too long": (
        json.dumps(an_event(idempotencyKey="k" * 256)),
        "invalid_idempotency_key",
        ["/idempotencyKey"],
    ),
    "a key with a blank at its end": (
        json.dumps(an_event(idempotencyKey="key ")),
        "invalid_idempotency_key",
        ["/idempotencyKey"],
    ),
    "nothing in it": ("{}", "invalid_event", ["/type", "/severity", "/message"]),
    "another kind's field": (json.dumps(an_event(status_code=500)), "invalid_event", ["/status_code"]),
    "a webhook without payload": (
        '{"kind":"webhook","source":"a","event":"b"}',
        "invalid_event",
        ["/payload"],
    ),
    "an error with a wrong status": (
        json.dumps({"kind": "server_error"} | EXAMPLES["server-error"] | {"status_code": 42}),
        "invalid_event",
        ["/status_code"],
    ),
    "a Stripe event without data": ('{"kind":"stripe","type":"a"}', "invalid_event", ["/data"]),
}


@pytest.mark.parametrize("form", ["json", "ndjson"])
@pytest.mark.parametrize("case", BAD_ITEMS)
def test_a_bad_item_is_rejected_by_itself(sender: Sender, case: str, form: str) -> None:
    text, code, pointers = BAD_ITEMS[case]
    items = [json.dumps(an_event(0)), text, json.dumps(an_event(1))]
    if form == "json":
        answer = sender.post("batch", f'{{"events":[{",".join(items)}]}}'.encode())
    else:
        answer = sender.post("batch", "\n".join(items).encode(), headers=NDJSON)
    first, rejected, last = results_of(answer)
    assert (rejected["status"], rejected["code"]) == ("rejected", code)
    assert [error["pointer"] for error in rejected["errors"]] == pointers
    assert all(error["code"] and error["detail"] for error in rejected["errors"])
    assert published_ids(sender) == [first["jobId"], last["jobId"]]
    assert messages(sender) == ["message 0", "message 1"]


def test_a_line_that_is_no_json_is_rejected_by_itself(sender: Sender) -> None:
    good = json.dumps(an_event()).encode()
    text = b"\n".join([b"{", good, b"\xff", b'{"type":"\\ud800"}', b"nonsense", good])
    results = results_of(sender.post("batch", text, headers=NDJSON))
    assert [result["status"] for result in results] == [
        "rejected", "queued", "rejected", "rejected", "rejected", "queued",
    ]  # fmt: skip
    assert len(sender.published()) == 2


def test_without_one_good_item_a_batch_is_refused_with_its_results(sender: Sender) -> None:
    problem = assert_refused(post(sender, 1, {}, {"kind": "x"}), 400, "invalid_event")
    assert [(result["index"], result["code"]) for result in problem["results"]] == [
        (0, "invalid_event"), (1, "invalid_event"), (2, "invalid_event"),
    ]  # fmt: skip
    assert sender.published() == []


def test_a_small_body_draws_no_large_answer(sender: Sender) -> None:
    names = {f"severitymessagetypes{number:02}": 0 for number in range(100)}
    text = gzip.compress(json.dumps({"events": [names] * 1000}).encode())
    began = time.perf_counter()
    answer = sender.post("batch", text, headers={"Content-Encoding": "gzip"})
    problem = assert_refused(answer, 400, "invalid_event")
    # It took 5.4 s, and 18 MB, when the faults of each item were reported.
    assert time.perf_counter() - began < 2
    assert len(answer.content) < 200_000
    assert sum(len(result["errors"]) for result in problem["results"]) == 100
    assert len(problem["results"]) == 1000


def test_a_batch_is_refused_with_the_word_that_all_its_items_share(sender: Sender) -> None:
    assert ids_of(post(sender, an_event(1, idempotencyKey="k")))
    problem = assert_refused(post(sender, an_event(2, idempotencyKey="k")), 422, "idempotency_key_reused")
    assert [result["code"] for result in problem["results"]] == ["idempotency_key_reused"]
    assert_refused(post(sender, 1, 2), 400, "invalid_event")


NO_BATCHES: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "malformed_json"),
    "a list": (b"[]", "invalid_event"),
    "half of one": (b'{"events":[{}', "malformed_json"),
    "events that are not JSON": (b'{"events":[nope]}', "malformed_json"),
    "a name that is not UTF-8": (b'{"events":[],"\xff":1}', "malformed_json"),
    "events twice": (b'{"events":[],"events":[]}', "malformed_json"),
    "no events": (b"{}", "invalid_event"),
    "null for events": (b'{"events":null}', "invalid_event"),
    "an object of events": (b'{"events":{}}', "invalid_event"),
    "an empty list": (b'{"events":[]}', "invalid_event"),
    "an unknown field beside": (b'{"events":[{}],"event":1}', "invalid_event"),
    "a single event": (json.dumps(EVENT).encode(), "invalid_event"),
}


@pytest.mark.parametrize("case", NO_BATCHES)
def test_what_is_no_batch_is_refused_as_a_whole(sender: Sender, case: str) -> None:
    text, code = NO_BATCHES[case]
    assert_refused(sender.post("batch", text), 400, code)
    assert sender.published() == []


BAD_TEXTS = {
    "half of a surrogate pair": (rb"cut \ud83d", "half of a surrogate pair"),
    "what is not UTF-8": (b"caf\xe9", "not valid UTF-8"),
}


@pytest.mark.parametrize("form", ["a list", "lines"])
@pytest.mark.parametrize("case", BAD_TEXTS)
def test_text_that_cannot_be_kept_refuses_its_own_item_alone(sender: Sender, case: str, form: str) -> None:
    text, reason = BAD_TEXTS[case]
    good = json.dumps(EVENT).encode()
    bad = json.dumps(EVENT | {"message": "@"}).encode().replace(b"@", text)
    kept = json.dumps(EVENT | {"payload": {"a": "@"}}).encode().replace(b"@", rb"\ud83d, \ud83d\ude00")
    items = [good, bad, kept]
    answer = (
        sender.post("batch", b'{"events":[ ' + b" , ".join(items) + b" ]}")
        if form == "a list"
        else sender.post("batch", b"\n".join(items), headers=NDJSON)
    )
    assert answer.status_code == 202, answer.text
    results = answer.json()["results"]
    assert [result["status"] for result in results] == ["queued", "rejected", "queued"]
    assert results[1]["code"] == "malformed_json"
    assert reason in results[1]["errors"][0]["detail"]
    assert sender.published()[-1][b"payload"] == rb'{"a": "\ud83d, \ud83d\ude00"}'


def test_the_items_of_a_batch_have_a_limit_of_members_together(sender: Sender) -> None:
    wide = {"kind": "stripe", "type": "t", "data": {}} | {f"member {number}": 1 for number in range(250)}
    results = post(sender, *[wide] * 100).json()["results"]
    accepted = [result["status"] == "queued" for result in results]
    assert accepted == [True] * 79 + [False] * 21
    assert results[-1]["errors"][0]["code"] == "too_many_members"


def test_empty_lines_alone_are_no_batch(sender: Sender) -> None:
    assert_refused(sender.post("batch", b"\n\n \n", headers=NDJSON), 400, "invalid_event")


@pytest.mark.parametrize(
    "type_", ["text/plain", "application/json-seq", "application/x-ndjson; charset=latin-1"]
)
def test_another_media_type_is_refused(sender: Sender, type_: str) -> None:
    answer = sender.post("batch", {"events": [EVENT]}, headers={"Content-Type": type_})
    assert_refused(answer, 415, "unsupported_media_type")


def test_ndjson_is_for_batches_alone(sender: Sender) -> None:
    assert_refused(sender.post("events", EVENT, headers=NDJSON), 415, "unsupported_media_type")


def test_a_batch_needs_a_key_as_everything_does(sender: Sender) -> None:
    assert_refused(sender.post("batch", {"events": [EVENT]}, key=None), 401, "missing_api_key")


def test_too_many_events_are_refused_by_number(sender: Sender) -> None:
    problem = assert_refused(post(sender, *[{}] * 1001), 413, "batch_too_large")
    assert "VIGILRY_MAX_BATCH_EVENTS" in problem["detail"]
    assert "1,000" in problem["detail"]
    assert len(ids_of(post(sender, *(an_event(number) for number in range(1000))))) == 1000
    assert messages(sender) == [f"message {number}" for number in range(1000)]


def test_a_key_for_the_whole_batch_is_refused(sender: Sender) -> None:
    answer = sender.post("batch", {"events": [EVENT]}, headers={"Idempotency-Key": "k"})
    assert_refused(answer, 400, "invalid_idempotency_key")
    assert sender.published() == []


def test_a_repeat_with_keys_gets_the_first_job_ids_and_stores_nothing(sender: Sender) -> None:
    items = [an_event(number, idempotencyKey=f"key {number}") for number in range(5)]
    ids = ids_of(post(sender, *items))
    again = results_of(post(sender, *items, an_event(9)))
    assert [result["jobId"] for result in again[:5]] == ids
    assert [result.get("idempotentReplayed") for result in again] == [True] * 5 + [None]
    assert len(sender.published()) == 6


def test_a_key_with_another_body_is_rejected_by_itself(sender: Sender) -> None:
    ids_of(post(sender, an_event(0, idempotencyKey="k")))
    rejected, queued = results_of(post(sender, an_event(1, idempotencyKey="k"), an_event(2)))
    assert (rejected["status"], rejected["code"]) == ("rejected", "idempotency_key_reused")
    assert [error["pointer"] for error in rejected["errors"]] == ["/idempotencyKey"]
    assert queued["status"] == "queued"
    assert messages(sender) == ["message 0", "message 2"]


def test_the_same_key_twice_in_a_batch_is_one_event(sender: Sender) -> None:
    item = an_event(idempotencyKey="k")
    first, second = ids_of(post(sender, item, item))
    assert first == second
    assert len(sender.published()) == 1


def test_a_stripe_id_twice_is_one_event_in_and_out_of_a_batch(sender: Sender) -> None:
    stripe = EXAMPLES["stripe"] | {"id": "evt_once"}
    alone = sender.post("stripe", stripe).json()["jobId"]
    item = {"kind": "stripe"} | stripe
    assert ids_of(post(sender, item, item | {"pending_webhooks": 2})) == [alone, alone]
    assert len(sender.published()) == 1


def test_batches_and_single_events_at_once_lose_nothing(sender: Sender) -> None:
    def send(number: int) -> list[str]:
        if number % 3:
            answer = sender.post("events", an_event(number))
            return [answer.json()["jobId"]]
        return ids_of(post(sender, *(an_event(number) for _ in range(120))))

    ids = [job_id for ids in at_once(send, range(60)) for job_id in ids]
    assert len(ids) == len(set(ids)) == 20 * 120 + 40
    assert sorted(ids) == sorted(published_ids(sender))


@pytest.mark.parametrize("fault", ["killed", "frozen"])
def test_a_broken_broker_refuses_the_whole_and_a_repeat_with_keys_is_safe(
    key_store: KeyStore, fault: str
) -> None:
    items = [an_event(number, idempotencyKey=f"key {number}") for number in range(50)]
    with Valkey(appendfsync="always") as valkey, key_store.service(valkey.url) as service:
        sender = key_store.sender(service, valkey)
        before = ids_of(post(sender, *items[:10]))
        valkey.kill() if fault == "killed" else valkey.freeze()
        answer = post(sender, *items)
        assert_503(answer, "broker_timeout", "broker_unavailable")
        assert answer.elapsed.total_seconds() < 1.5
        valkey.start() if fault == "killed" else valkey.thaw()
        ids = ids_of(wait_accepted(lambda: post(sender, *items)))
        assert ids[:10] == before
        assert sorted(set(ids)) == sorted(published_ids(sender))
        sender.close()


def test_a_full_stream_refuses_the_whole_and_a_repeat_with_keys_is_safe(key_store: KeyStore) -> None:
    items = [an_event(number, idempotencyKey=f"key {number}") for number in range(20)]
    with Valkey() as valkey, key_store.service(valkey.url, stream_max_entries=10) as service:
        sender = key_store.sender(service, valkey)
        assert_503(post(sender, *items), "stream_full")
        assert len(sender.published()) == 10
        ids = ids_of(post(sender, *items[:10]))
        assert ids == published_ids(sender)
        sender.close()
