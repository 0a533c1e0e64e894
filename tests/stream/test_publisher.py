"""The publisher on a real Valkey: what is appended, and what idempotency keys make of it."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fixtures.publishing import (
    STREAM,
    an_event,
    entries_of,
    job_id_of_entry,
    new_project,
    publisher_on,
    refusal_of,
)
from tests.fixtures.sender import at_once
from tests.fixtures.servers.valkey import Valkey
from tests.fixtures.servers.waiting import wait_until
from vigilry_ingest.domain.event import Event
from vigilry_ingest.stream.publishing.append_script import IdempotencyKey
from vigilry_ingest.stream.publishing.publisher import Published, Publisher
from vigilry_ingest.stream.redis_keys import partition_of

keys = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=255)
KEY = IdempotencyKey("event", "order-4421", "fingerprint")


@pytest.fixture(scope="module")
def valkey() -> Iterator[Valkey]:
    """Run a broker whose stream stays short, because these tests read it whole again and again."""
    with Valkey() as server:
        yield server


@pytest.fixture(scope="module")
def publisher(valkey: Valkey) -> Iterator[Publisher]:
    publisher = publisher_on(valkey.url)
    yield publisher
    publisher.close()


def published_by(valkey: Valkey, project_id: str, key: str = STREAM) -> list[dict[bytes, bytes]]:
    """Read a project's entries, oldest first."""
    project = project_id.encode()
    return [fields for _, fields in entries_of(valkey, key) if fields[b"project_id"] == project]


def markers_of(valkey: Valkey, project_id: str) -> list[str]:
    """Name what is remembered of a project beside its entries."""
    found: list[str] = valkey.ask("KEYS", f"*{project_id}*")
    return found


def test_an_event_becomes_an_entry_with_exactly_its_fields(valkey: Valkey, publisher: Publisher) -> None:
    event = an_event(new_project(), "line\r\nbreak, \0, ünïcode")
    published = publisher.publish(event)
    (entry,) = published_by(valkey, event.project_id)
    assert entry == {
        b"v": b"1",
        b"id": event.id.encode(),
        b"project_id": event.project_id.encode(),
        b"environment": b"production",
        b"kind": b"event",
        b"type": b"checkout_failed",
        b"severity": b"ERROR",
        b"message": event.message.encode(),
        b"received_at": event.received_at.encode(),
        b"request_id": b"req_1",
    }
    assert not published.is_replay


def test_the_job_id_is_that_of_the_entry(valkey: Valkey, publisher: Publisher) -> None:
    published = publisher.publish(an_event(new_project()))
    assert published.job_id == job_id_of_entry(entries_of(valkey)[-1][0])


@settings(deadline=None)
@given(message=st.text(), payload=st.binary())
def test_text_and_bytes_arrive_unchanged(
    valkey: Valkey, publisher: Publisher, message: str, payload: bytes
) -> None:
    try:
        message.encode()
    except UnicodeEncodeError:
        return
    event = an_event(new_project(), message)
    publisher.publish(Event(**{n: getattr(event, n) for n in event.__struct_fields__} | {"payload": payload}))
    entry = entries_of(valkey)[-1][1]
    assert (entry[b"message"], entry[b"payload"]) == (message.encode(), payload)


def test_events_of_one_sender_stay_in_order(valkey: Valkey, publisher: Publisher) -> None:
    project = new_project()
    ids = [publisher.publish(an_event(project, str(number))).job_id for number in range(50)]
    assert [entry[b"message"] for entry in published_by(valkey, project)] == [b"%d" % n for n in range(50)]
    assert sorted(ids, key=lambda each: int(each.removeprefix("bull-"))) == ids


def test_each_of_many_threads_gets_the_job_id_of_its_own_event(valkey: Valkey, publisher: Publisher) -> None:
    project = new_project()
    ids = at_once(lambda number: publisher.publish(an_event(project, str(number))).job_id, range(400))
    found = {
        fields[b"message"]: job_id_of_entry(entry_id)
        for entry_id, fields in entries_of(valkey)
        if fields[b"project_id"] == project.encode()
    }
    assert found == {b"%d" % number: job_id for number, job_id in enumerate(ids)}


def test_a_project_goes_to_its_partition_alone(valkey: Valkey) -> None:
    publisher = publisher_on(valkey.url, partitions=5)
    projects = [new_project() for _ in range(20)]
    for project in projects:
        publisher.publish(an_event(project))
    publisher.close()
    for project in projects:
        own = partition_of(project, 5)
        counts = [len(published_by(valkey, project, f"vigilry:{{{number}}}:events")) for number in range(5)]
        assert counts == [int(number == own) for number in range(5)]
    assert len({partition_of(project, 5) for project in projects}) > 1


def test_the_same_key_gives_the_first_job_id_and_appends_nothing(
    valkey: Valkey, publisher: Publisher
) -> None:
    project = new_project()
    first = publisher.publish(an_event(project, "first"), [KEY])
    again = publisher.publish(an_event(project, "again"), [KEY])
    assert first == Published(first.job_id, False)
    assert again == Published(first.job_id, True)
    assert [entry[b"message"] for entry in published_by(valkey, project)] == [b"first"]


def test_the_same_key_with_another_fingerprint_is_refused_for_good(
    valkey: Valkey, publisher: Publisher
) -> None:
    project = new_project()
    publisher.publish(an_event(project), [KEY])
    refusal = refusal_of(publisher, an_event(project), KEY._replace(fingerprint="other"))
    assert (refusal.code, refusal.retry_after) == ("idempotency_key_reused", None)
    assert len(published_by(valkey, project)) == 1


def test_without_a_fingerprint_the_key_alone_decides(valkey: Valkey, publisher: Publisher) -> None:
    project = new_project()
    once = IdempotencyKey("stripe-id", "evt_1", "")
    first = publisher.publish(an_event(project, "first"), [once])
    assert publisher.publish(an_event(project, "again"), [once]) == Published(first.job_id, True)
    assert len(published_by(valkey, project)) == 1


def test_a_key_is_known_in_its_project_and_scope_alone(valkey: Valkey, publisher: Publisher) -> None:
    projects = [new_project(), new_project()]
    for project in projects:
        for scope in ("event", "webhook"):
            assert not publisher.publish(an_event(project), [KEY._replace(scope=scope)]).is_replay
    assert [len(published_by(valkey, project)) for project in projects] == [2, 2]


@settings(deadline=None, max_examples=60)
@given(st.lists(keys, min_size=2, max_size=5, unique=True))
def test_no_key_is_taken_for_another(valkey: Valkey, publisher: Publisher, several: list[str]) -> None:
    project = new_project()
    first = [publisher.publish(an_event(project), [IdempotencyKey("event", key, "f")]) for key in several]
    again = [publisher.publish(an_event(project), [IdempotencyKey("event", key, "f")]) for key in several]
    assert not any(each.is_replay for each in first)
    assert again == [Published(each.job_id, True) for each in first]
    assert len(published_by(valkey, project)) == len(several)


def test_an_event_without_a_key_leaves_nothing_but_its_entry(valkey: Valkey, publisher: Publisher) -> None:
    project = new_project()
    publisher.publish(an_event(project))
    assert markers_of(valkey, project) == []
    publisher.publish(an_event(project), [KEY])
    assert len(markers_of(valkey, project)) == 1


ID = IdempotencyKey("stripe-id", "evt_1", "")


@pytest.mark.parametrize("first", [[KEY], [ID], [KEY, ID]], ids=["key", "id", "both"])
@pytest.mark.parametrize("again", [[KEY], [ID], [KEY, ID]], ids=["key", "id", "both"])
def test_either_of_two_keys_is_enough_to_know_an_event(
    valkey: Valkey, publisher: Publisher, first: list[IdempotencyKey], again: list[IdempotencyKey]
) -> None:
    project = new_project()
    published = publisher.publish(an_event(project), first)
    second = publisher.publish(an_event(project), again)
    known = bool({*first} & {*again})
    assert second.is_replay is known
    assert (second.job_id == published.job_id) is known
    assert len(published_by(valkey, project)) == (1 if known else 2)


def test_a_replay_teaches_the_key_that_was_missing(valkey: Valkey, publisher: Publisher) -> None:
    project = new_project()
    first = publisher.publish(an_event(project), [ID])
    publisher.publish(an_event(project), [KEY, ID])
    assert publisher.publish(an_event(project), [KEY]) == Published(first.job_id, True)
    assert refusal_of(publisher, an_event(project), KEY._replace(fingerprint="other")).code == (
        "idempotency_key_reused"
    )
    assert len(published_by(valkey, project)) == 1


def test_a_reused_key_is_refused_whatever_else_is_known_and_teaches_nothing(
    valkey: Valkey, publisher: Publisher
) -> None:
    project = new_project()
    publisher.publish(an_event(project), [KEY])
    other = KEY._replace(fingerprint="other")
    assert refusal_of(publisher, an_event(project), other, ID).code == "idempotency_key_reused"
    assert not publisher.publish(an_event(project), [ID]).is_replay
    assert refusal_of(publisher, an_event(project), other, ID).code == "idempotency_key_reused"
    assert len(published_by(valkey, project)) == 2


def test_a_key_is_remembered_for_its_time_and_no_longer(valkey: Valkey) -> None:
    publisher = publisher_on(valkey.url, idempotency_ttl_s=1)
    project = new_project()
    first = publisher.publish(an_event(project), [KEY])
    (marker,) = markers_of(valkey, project)
    assert 0 < valkey.ask("PTTL", marker) <= 1000
    wait_until(lambda: not valkey.ask("EXISTS", marker), 3, "the key is forgotten")
    later = publisher.publish(an_event(project), [KEY])
    publisher.close()
    assert not later.is_replay
    assert later.job_id != first.job_id
    assert len(published_by(valkey, project)) == 2


def test_a_replay_does_not_lengthen_the_time(valkey: Valkey, publisher: Publisher) -> None:
    project = new_project()
    publisher.publish(an_event(project), [KEY])
    (marker,) = markers_of(valkey, project)
    assert 86_000_000 < valkey.ask("PTTL", marker) <= 86_400_000
    valkey.ask("PEXPIRE", marker, 5000)
    assert publisher.publish(an_event(project), [KEY]).is_replay
    assert 0 < valkey.ask("PTTL", marker) <= 5000


def test_many_threads_on_several_connections_with_one_key_append_once(valkey: Valkey) -> None:
    publishers = [publisher_on(valkey.url) for _ in range(4)]
    barrier = threading.Barrier(32)

    def publish(number: int) -> Published:
        barrier.wait(20)
        return publishers[number % 4].publish(an_event(project, str(number)), [KEY])

    for _ in range(5):
        project = new_project()
        answers = at_once(publish, range(32), threads=32)
        assert len({each.job_id for each in answers}) == 1
        assert sorted(each.is_replay for each in answers) == [False] + [True] * 31
        assert len(published_by(valkey, project)) == 1
    for publisher in publishers:
        publisher.close()


@pytest.fixture
def own_valkey() -> Iterator[Valkey]:
    """Run a broker whose memory and stream are a test's own."""
    with Valkey() as server:
        yield server


def out_of_memory(server: Valkey) -> dict[str, Any]:
    server.ask("CONFIG SET", "maxmemory", 1)
    return {}


def full(server: Valkey) -> dict[str, Any]:
    server.ask("XADD", STREAM, "*", "v", "0")
    return {"max_entries": 1}


def repair(server: Valkey) -> None:
    server.ask("CONFIG SET", "maxmemory", 0)
    server.ask("DEL", STREAM)


@pytest.mark.parametrize(
    ("fault", "code"), [(full, "stream_full"), (out_of_memory, "broker_out_of_memory")], ids=["full", "oom"]
)
def test_a_refused_event_leaves_no_key_behind_and_its_retry_is_stored(
    own_valkey: Valkey, fault: Any, code: str
) -> None:
    publisher = publisher_on(own_valkey.url, **fault(own_valkey))
    project = new_project()
    for once in ([KEY], [ID], [KEY, ID]):
        assert refusal_of(publisher, an_event(project), *once).code == code
    assert markers_of(own_valkey, project) == []
    repair(own_valkey)
    assert not publisher.publish(an_event(project), [KEY, ID]).is_replay
    publisher.close()
    assert len(published_by(own_valkey, project)) == 1


def test_a_known_key_is_answered_though_the_stream_is_full(own_valkey: Valkey) -> None:
    publisher = publisher_on(own_valkey.url, max_entries=1)
    project = new_project()
    first = publisher.publish(an_event(project), [KEY])
    assert refusal_of(publisher, an_event(project)).code == "stream_full"
    assert publisher.publish(an_event(project), [KEY]) == Published(first.job_id, True)
    assert publisher.publish(an_event(project), [KEY, ID]) == Published(first.job_id, True)
    publisher.close()
    assert len(entries_of(own_valkey)) == 1


def test_nothing_on_the_publishing_side_trims(own_valkey: Valkey) -> None:
    publisher = publisher_on(own_valkey.url, max_entries=3)
    project = new_project()
    ids = [publisher.publish(an_event(project)).job_id for _ in range(3)]
    for _ in range(5):
        assert refusal_of(publisher, an_event(project)).code == "stream_full"
    publisher.close()
    assert [job_id_of_entry(entry_id) for entry_id, _ in entries_of(own_valkey)] == ids
