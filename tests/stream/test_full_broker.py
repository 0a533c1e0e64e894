"""A broker whose memory is full is drained by its workers and operators."""

from collections.abc import Sequence
from typing import Any

import pytest
from msgspec.structs import replace
from redis.exceptions import ResponseError

from tests.fixtures.consuming import Notebook, Running, raise_for
from tests.fixtures.publishing import an_event, publisher_on
from tests.fixtures.servers.valkey import Valkey
from tests.fixtures.servers.waiting import wait_until
from vigilry_ingest.domain.handler import Delivered
from vigilry_ingest.stream.consuming.dead_letters import dead_letters, drop, requeue
from vigilry_ingest.stream.consuming.pending import make_group
from vigilry_ingest.stream.consuming.retention import forget_group
from vigilry_ingest.stream.consuming.scripts import Script
from vigilry_ingest.stream.errors import BrokerError
from vigilry_ingest.stream.publishing.publisher import Publisher
from vigilry_ingest.stream.redis_keys import events_key

EVENTS = 30


@pytest.fixture
def full(broker: Valkey, publisher: Publisher) -> Valkey:
    """Return a broker with 30 events of 100 kB, and less memory than they take."""
    large = b'{"a":"%s"}' % (b"x" * 100_000)
    for number in range(EVENTS):
        publisher.publish(replace(an_event("proj_1", f"event {number}"), payload=large))
    broker.ask("CONFIG", "SET", "maxmemory", 2_500_000)
    assert is_refused(publisher)
    return broker


def is_refused(publisher: Publisher) -> bool:
    """Return whether an event is refused because the broker's memory is full."""
    try:
        publisher.publish(an_event("proj_1", "one more"))
    except BrokerError as error:
        return error.code == "broker_out_of_memory"
    return False


def test_a_worker_that_starts_at_a_full_broker_drains_it(full: Valkey, publisher: Publisher) -> None:
    notebook = Notebook()
    with Running(full.url, notebook.handle):
        notebook.wait_handled(EVENTS)
        wait_until(lambda: not is_refused(publisher), 10.0, "the broker takes events again")
    assert notebook.messages[:EVENTS] == [f"event {number}" for number in range(EVENTS)]


def test_an_event_that_keeps_failing_becomes_a_dead_letter_at_a_full_broker(full: Valkey) -> None:
    notebook = Notebook(raise_for("event 3"))
    with Running(full.url, notebook.handle, deliveries=2):
        notebook.wait_handled(EVENTS - 1)
        with full.client(decode_responses=False) as client:
            wait_until(lambda: list(dead_letters(client, 1)), 10.0, "it is a dead letter")
            (letter,) = dead_letters(client, 1)
    assert letter.reason == "ValueError: no event 3 here"


def test_dead_letters_are_requeued_and_dropped_at_a_full_broker(full: Valkey) -> None:
    notebook = Notebook(raise_for("event 3", "event 4"))
    with full.client(decode_responses=False) as client:
        with Running(full.url, notebook.handle, deliveries=2):
            wait_until(lambda: len(list(dead_letters(client, 1))) == 2, 15.0, "two are dead")
        full.ask("CONFIG SET", "maxmemory", 1)
        first, second = dead_letters(client, 1)
        assert requeue(client, first)
        assert drop(client, second)
        assert list(dead_letters(client, 1)) == []


def test_a_group_that_nobody_reads_is_forgotten_at_a_full_broker(full: Valkey) -> None:
    with full.client(decode_responses=False) as client:
        make_group(client, 0, "abandoned")
        make_group(client, 0, "abandoned")
        assert forget_group(client, 0, "abandoned")
        assert client.xinfo_groups(events_key(0)) == []


def test_a_server_that_does_not_know_the_flag_runs_the_script_without_it() -> None:
    class OldServer:
        """Answers as Redis 6.2 does, and records the scripts."""

        def __init__(self) -> None:
            self.run: list[str] = []

        def eval(self, source: str, *_arguments: Any) -> int:
            self.run.append(source)
            if source.startswith("#!"):
                raise ResponseError("Error compiling script: user_script:1: unexpected symbol near '#'")
            return 1

    server = OldServer()
    script = Script("return 1")
    assert [script.run(server, ("key",)) for _ in range(2)] == [1, 1]
    assert [source[:2] for source in server.run] == ["#!", "re", "re"]


@pytest.mark.parametrize("batch", [1, 7])
def test_a_call_of_the_handler_has_at_most_one_batch_however_many_partitions_there_are(
    broker: Valkey, batch: int
) -> None:
    sizes: list[int] = []

    def note(events: Sequence[Delivered]) -> None:
        sizes.append(len(events))

    projects = [f"proj_{number}" for number in range(12)]
    publisher = publisher_on(broker.url, partitions=6)
    for number in range(60):
        publisher.publish(an_event(projects[number % 12], f"event {number}"))
    with Running(broker.url, note, partitions=6, batch=batch):
        wait_until(lambda: sum(sizes) == 60, 15.0, "all events are handled")
    publisher.close()
    assert max(sizes) == batch
