"""The worker's loop on a real Valkey: batches, acknowledgement, take-over, dead letters, and leases."""

import signal
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from tests.fixtures.consuming import Notebook, Running, do_nothing, raise_for, wait_on
from tests.fixtures.handlers import FOLDER, GO, read_notes
from tests.fixtures.publishing import an_event, new_project, publisher_on
from tests.fixtures.servers.cluster import ClusterSetup
from tests.fixtures.servers.valkey import Valkey
from tests.fixtures.servers.waiting import wait_until
from tests.fixtures.servers.worker import Worker
from vigilry_ingest.domain.handler import Delivered, TryLater
from vigilry_ingest.stream.consuming.consumer import Consumer
from vigilry_ingest.stream.consuming.dead_letters import DeadLetter, dead_letters
from vigilry_ingest.stream.consuming.dispatcher import Dispatcher
from vigilry_ingest.stream.consuming.pending import Delivery, make_group, remove_idle_consumers
from vigilry_ingest.stream.consuming.stop_flag import StopFlag
from vigilry_ingest.stream.consuming.timing import Timing
from vigilry_ingest.stream.errors import BrokerError
from vigilry_ingest.stream.publishing.publisher import Publisher
from vigilry_ingest.stream.redis_keys import DEFAULT_GROUP, dead_key, events_key, lease_key, partition_of

GROUP = DEFAULT_GROUP
STOPPING = (StopFlag.wait.__code__, StopFlag.is_set.__code__)
PARTITIONS = 6
LEASE_S = Timing().lease_s
# What a busy machine may add to any stated time.
SLACK_S = 1.5


def publish(publisher: Publisher, *messages: str, project: str = "proj_1") -> list[str]:
    """Publish events of a project, in order, and return their jobIds."""
    return [publisher.publish(an_event(project, message)).job_id for message in messages]


def publish_at_last(publisher: Publisher, message: str, project: str = "proj_1") -> None:
    """Publish an event, again and again until the broker takes it."""

    def is_published() -> bool:
        return bool(publish(publisher, message, project=project))

    wait_until(is_published, 10.0, "the broker takes events again", ignoring=(BrokerError,))


def numbered(count: int, *, start: int = 0, prefix: str = "event") -> list[str]:
    """Make messages that tell their order."""
    return [f"{prefix} {number}" for number in range(start, start + count)]


def pending_of(broker: Valkey, partitions: int = 1) -> int:
    """Count what was delivered and not acknowledged."""
    return sum(_pending(broker, partition) for partition in range(partitions))


def _pending(broker: Valkey, partition: int) -> int:
    with broker.client() as client:
        if not client.exists(events_key(partition)):
            return 0
        groups: Any = client.xinfo_groups(events_key(partition))
    return sum(group["pending"] for group in groups if group["name"] == GROUP)


def wait_settled(broker: Valkey, partitions: int = 1, within_s: float = 15.0) -> None:
    """Wait until nothing is pending."""
    wait_until(lambda: pending_of(broker, partitions) == 0, within_s, "nothing is pending")


def dead_of(broker: Valkey, partitions: int = 1) -> list[DeadLetter]:
    """Read the dead letters."""
    with broker.client(decode_responses=False) as client:
        return list(dead_letters(client, partitions))


def wait_dead(broker: Valkey, count: int, within_s: float = 15.0) -> list[DeadLetter]:
    """Wait until there are so many dead letters, and return them."""
    wait_until(lambda: len(dead_of(broker)) >= count, within_s, f"{count} are dead")
    return dead_of(broker)


def holders_of(broker: Valkey, partitions: int = PARTITIONS) -> dict[str, set[int]]:
    """Return which partitions each worker has."""
    held: dict[str, set[int]] = defaultdict(set)
    for partition in range(partitions):
        name = broker.ask("GET", lease_key(partition, GROUP))
        if name is not None:
            held[name].add(partition)
    return dict(held)


def let_leases_run_out(broker: Valkey) -> None:
    """Do at once what the broker does by itself three seconds after a worker has died."""
    broker.ask("DEL", lease_key(0, GROUP), f"vigilry:members:{GROUP}")


def wait_shares(broker: Valkey, *shares: int, within_s: float = 10.0) -> dict[str, set[int]]:
    """Wait until the partitions are shared out in this way, and return the shares."""
    wait_until(
        lambda: sorted(map(len, holders_of(broker).values())) == sorted(shares),
        within_s,
        f"the partitions are shared {shares}",
        log=lambda: str(holders_of(broker)),
    )
    return holders_of(broker)


def a_project_on(partition: int, partitions: int) -> str:
    """Make up a project whose events go to a partition."""
    while partition_of(project := new_project(), partitions) != partition:
        pass
    return project


def worker_on(broker: Valkey, notes: Path, *options: str, **settings: str | int) -> Worker:
    """Prepare a worker process whose handler does as the messages say, and notes it."""
    own: dict[str, str | int] = {
        "VIGILRY_REDIS_URL": broker.url,
        "VIGILRY_DATABASE_URL": f"sqlite:///{notes}/unused.db",
        FOLDER: str(notes),
    }
    own |= {f"VIGILRY_{name.upper()}": value for name, value in settings.items()}
    return Worker(own, "--group", GROUP, "--handler", "tests.fixtures.handlers:obey", *options)


def handled_in(notes: Path) -> list[str]:
    """Read the messages that worker processes have handled, in order."""
    return [event["message"] for event in read_notes(notes, "handled")]


def wait_handled_in(notes: Path, *messages: str, within_s: float = 20.0) -> None:
    """Wait until these messages were all handled."""
    wait_until(
        lambda: set(messages) <= set(handled_in(notes)),
        within_s,
        f"{messages} are handled",
        log=lambda: str(handled_in(notes)),
    )


def wait_called_with(notes: Path, message: str) -> None:
    """Wait until a handler was called with a message."""
    wait_until(
        lambda: message in [event["message"] for event in read_notes(notes, "called")],
        10.0,
        f"the handler is called with {message}",
    )


# Batches and acknowledgement


def test_events_are_handed_over_in_order_and_in_batches_of_the_size_asked(
    broker: Valkey, publisher: Publisher
) -> None:
    jobs = publish(publisher, *numbered(250))
    notebook = Notebook()
    with Running(broker.url, notebook.handle, batch=100):
        notebook.wait_handled(250)
        wait_settled(broker)
    assert [len(call) for call in notebook.called] == [100, 100, 50]
    assert notebook.messages == numbered(250)
    assert [event.job_id for event in notebook.handled] == jobs
    assert {event.attempts for event in notebook.handled} == {1}


def test_a_new_event_is_handed_over_at_once(broker: Valkey, publisher: Publisher) -> None:
    notebook = Notebook()
    with Running(broker.url, notebook.handle):
        wait_until(lambda: holders_of(broker, 1), 5.0, "the worker has its partition")
        for number in range(5):
            publish(publisher, f"event {number}")
            notebook.wait_handled(number + 1, within_s=1.0)


def test_the_handler_gets_every_field_as_it_was_published(broker: Valkey, publisher: Publisher) -> None:
    event = an_event("proj_1", "line\r\nbreak, \0, ünïcode")
    job_id = publisher.publish(event).job_id
    notebook = Notebook()
    with Running(broker.url, notebook.handle):
        notebook.wait_handled(1)
    (delivered,) = notebook.handled
    assert {name: getattr(delivered, name) for name in event.__struct_fields__} == {
        name: getattr(event, name) for name in event.__struct_fields__
    }
    assert (delivered.job_id, delivered.attempts) == (job_id, 1)


def test_a_batch_is_acknowledged_only_after_the_handler_has_returned(
    broker: Valkey, publisher: Publisher
) -> None:
    go = threading.Event()
    notebook = Notebook(wait_on(go))
    publish(publisher, *numbered(3))
    with Running(broker.url, notebook.handle):
        wait_until(lambda: notebook.called, 5.0, "the handler is called")
        assert pending_of(broker) == 3
        go.set()
        wait_settled(broker)
    assert notebook.messages == numbered(3)


def test_each_group_gets_every_event(broker: Valkey, publisher: Publisher, tmp_path: Path) -> None:
    notebook = Notebook()
    with Running(broker.url, notebook.handle), worker_on(broker, tmp_path, "--group", "another"):
        publish(publisher, *numbered(5))
        notebook.wait_handled(5)
        wait_handled_in(tmp_path, *numbered(5))
    assert notebook.messages == handled_in(tmp_path) == numbered(5)


# Events that fail, and entries that are no events


def test_an_event_that_goes_on_failing_ends_dead_with_the_reason(
    broker: Valkey, publisher: Publisher
) -> None:
    (job_id,) = publish(publisher, "bad")
    notebook = Notebook(raise_for("bad"))
    with Running(broker.url, notebook.handle, deliveries=2):
        (letter,) = wait_dead(broker, 1)
        wait_settled(broker)
    assert [event.attempts for call in notebook.called for event in call] == [1, 2]
    assert letter.reason == "ValueError: no bad here"
    assert (letter.job_id, letter.group, letter.deliveries) == (job_id, GROUP, 2)
    event = letter.event()
    assert event == an_event("proj_1", "bad")
    assert abs(time.time() - _seconds(letter.died_at)) < 60


def _seconds(moment: str) -> float:
    return time.mktime(time.strptime(moment[:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone


def test_at_no_moment_is_a_dying_event_in_two_places_or_in_none(broker: Valkey, publisher: Publisher) -> None:
    publish(publisher, *numbered(30, prefix="bad"))
    bad = raise_for(*numbered(30, prefix="bad"))
    sums: set[int] = set()
    with broker.client() as client, Running(broker.url, bad, deliveries=1):
        wait_until(lambda: holders_of(broker, 1), 5.0, "the worker has its partition")
        wait_until(lambda: pending_of(broker) or dead_of(broker), 5.0, "the events are delivered")
        dead = 0
        while dead < 30:
            looks = client.pipeline(transaction=True)
            looks.xpending(events_key(0), GROUP)
            looks.xlen(dead_key(0))
            pending, dead = looks.execute()
            sums.add(pending["pending"] + dead)
    assert sums == {30}


def test_one_bad_event_neither_fails_nor_holds_back_the_others(broker: Valkey, publisher: Publisher) -> None:
    publish(publisher, *numbered(9), "bad", *numbered(9, start=9))
    notebook = Notebook(raise_for("bad"))
    with Running(broker.url, notebook.handle, deliveries=2):
        notebook.wait_handled(18, within_s=5.0)
        assert dead_of(broker) == [], "the others came before it was given up"
        publish(publisher, *numbered(9, start=18))
        notebook.wait_handled(27, within_s=5.0)
        (letter,) = wait_dead(broker, 1)
        wait_settled(broker)
    assert letter.reason == "ValueError: no bad here"
    assert notebook.messages == numbered(27), "each once, and in order"


def test_an_event_that_fails_now_and_then_is_handled_at_last(broker: Valkey, publisher: Publisher) -> None:
    def fail_once(events: Sequence[Delivered]) -> None:
        if any(event.message == "moody" and event.attempts < 2 for event in events):
            raise ValueError("not now")

    publish(publisher, "before", "moody", "after")
    notebook = Notebook(fail_once)
    with Running(broker.url, notebook.handle):
        notebook.wait_handled(3)
        wait_settled(broker)
    assert notebook.messages == ["before", "after", "moody"]
    assert dead_of(broker) == []


OURS = {
    "v": "1", "id": "evt_1", "project_id": "proj_1", "environment": "production", "kind": "event",
    "type": "t", "severity": "INFO", "message": "m", "received_at": "2026-01-01T00:00:00.000Z",
    "request_id": "r",
}  # fmt: skip
GARBAGE: dict[str, Mapping[str, str | bytes]] = {
    "foreign": {"foreign": "entry"},
    "later version": OURS | {"v": "2"},
    "a field missing": {name: value for name, value in OURS.items() if name != "severity"},
    "not UTF-8": OURS | {"message": b"\xff\xfe"},
    "names that are not UTF-8": {b"\xff".decode("latin-1"): b"\xff"},
    "a first entry that is no id": OURS | {"for_group": GROUP, "first_entry": "nonsense"},
    "an empty first entry": OURS | {"for_group": GROUP, "first_entry": ""},
    "5,000 fields": {f"field {number}": "x" for number in range(5000)},
}


def test_garbage_entries_are_dead_at_once_with_a_reason_and_the_others_flow(
    broker: Valkey, publisher: Publisher
) -> None:
    publish(publisher, "before")
    with broker.client() as client:
        for garbage in GARBAGE.values():
            fields: Any = garbage
            client.xadd(events_key(0), fields)
    publish(publisher, "after")
    notebook = Notebook()
    with Running(broker.url, notebook.handle):
        notebook.wait_handled(2, within_s=5.0)
        letters = wait_dead(broker, len(GARBAGE), within_s=5.0)
        wait_settled(broker)
    assert notebook.messages == ["before", "after"]
    for (kind, garbage), letter in zip(GARBAGE.items(), letters, strict=True):
        assert letter.reason, kind
        assert letter.deliveries == 1, kind
        kept = {name.decode("utf-8", "surrogateescape") for name in letter.entry}
        assert kept >= {name for name in garbage if name not in ("for_group", "first_entry")}, kind


def test_an_entry_for_another_group_alone_is_acknowledged_unseen(
    broker: Valkey, publisher: Publisher
) -> None:
    with broker.client() as client:
        client.xadd(events_key(0), dict(OURS) | {"for_group": "another", "first_entry": "1-1"})
    publish(publisher, "mine")
    notebook = Notebook()
    with Running(broker.url, notebook.handle):
        notebook.wait_handled(1)
        wait_settled(broker)
    assert notebook.messages == ["mine"]
    assert dead_of(broker) == []


# The handler's own means are down


def test_try_later_is_waited_for_without_spinning_and_counts_no_delivery(
    broker: Valkey, publisher: Publisher
) -> None:
    begun = time.monotonic()

    def down_for_a_while(_events: Sequence[Delivered]) -> None:
        if time.monotonic() - begun < 2.0:
            raise TryLater("it is down")

    publish(publisher, *numbered(20))
    notebook = Notebook(down_for_a_while)
    with Running(broker.url, notebook.handle, deliveries=2):
        notebook.wait_handled(20)
        wait_settled(broker)
    assert notebook.messages == numbered(20)
    assert {event.attempts for event in notebook.handled} == {1}
    # Doubled from 0.1 s: 0, 0.1, 0.3, 0.7, 1.5, 3.1; each try has half of the events of the one before, and
    # after the outage twice as many.
    assert [len(batch) for batch in notebook.called][:5] == [20, 10, 5, 2, 1]
    assert len(notebook.called) <= 13
    assert dead_of(broker) == []


def test_a_batch_that_takes_too_long_is_handled_in_parts_and_in_order(
    broker: Valkey, publisher: Publisher
) -> None:
    def at_most_three(events: Sequence[Delivered]) -> None:
        if len(events) > 3:
            raise TryLater("it has not responded in time")

    publish(publisher, *numbered(30))
    notebook = Notebook(at_most_three)
    with Running(broker.url, notebook.handle):
        notebook.wait_handled(30)
        wait_settled(broker)
    assert notebook.messages == numbered(30)
    assert {event.attempts for event in notebook.handled} == {1}
    assert dead_of(broker) == []


@pytest.mark.slow
def test_an_event_that_is_never_handled_neither_holds_back_the_others_nor_lives_for_ever(
    broker: Valkey, publisher: Publisher
) -> None:
    def never_the_first(events: Sequence[Delivered]) -> None:
        if any(event.message == "event 0" for event in events):
            raise TryLater("it does not respond for this one")

    publish(publisher, *numbered(8))
    notebook = Notebook(never_the_first)
    with Running(broker.url, notebook.handle, deliveries=2):
        notebook.wait_handled(7)
        publish(publisher, *numbered(2, start=8))
        notebook.wait_handled(9)
        # It is counted only if others were handled since its last try.
        wait_until(lambda: _goes_on(publisher, broker), 30.0, "it is a dead letter")
    (letter,) = dead_of(broker)
    assert letter.reason == "TryLater: it does not respond for this one"
    assert sorted(each for each in notebook.messages if each != "another") == numbered(10)[1:]


def _goes_on(publisher: Publisher, broker: Valkey) -> bool:
    publish(publisher, "another")
    time.sleep(0.2)
    return len(dead_of(broker)) > 0


def test_a_worker_whose_store_is_down_ends_soon_when_it_is_told_to(
    broker: Valkey, publisher: Publisher
) -> None:
    def down_after_a_time_out(_events: Sequence[Delivered]) -> None:
        time.sleep(0.2)
        raise TryLater("it does not answer")

    publish(publisher, *numbered(100))
    notebook = Notebook(down_after_a_time_out)
    with Running(broker.url, notebook.handle) as running:
        wait_until(lambda: notebook.called, 5.0, "the handler is called")
        # Not one time-out for each of the 100.
        running.stop(within_s=3.0)
    assert pending_of(broker) == 100


def test_an_outage_over_many_restarts_of_the_worker_kills_no_event(
    broker: Valkey, publisher: Publisher
) -> None:
    is_down = True

    def down(_events: Sequence[Delivered]) -> None:
        if is_down:
            raise TryLater("it is down")

    publish(publisher, *numbered(3))
    notebook = Notebook(down)
    for _ in range(3):
        so_far = len(notebook.called)
        with Running(broker.url, notebook.handle, deliveries=1):
            wait_until(partial(_is_longer, notebook.called, so_far), 5.0, "the handler is called")
    is_down = False
    with Running(broker.url, notebook.handle, deliveries=1):
        wait_settled(broker)
    assert dead_of(broker) == []
    assert notebook.messages == numbered(3)


def test_a_worker_that_is_stopped_as_it_takes_over_hands_nothing_newer_over(
    broker: Valkey, publisher: Publisher
) -> None:
    def down(_events: Sequence[Delivered]) -> None:
        raise TryLater("it is down")

    notebook = Notebook(down)
    publish(publisher, *numbered(5))
    with Running(broker.url, notebook.handle):
        wait_until(lambda: notebook.called, 5.0, "the handler is called")
    publish(publisher, *numbered(5, start=5))
    notebook.called.clear()
    with Running(broker.url, notebook.handle):
        wait_until(lambda: notebook.called, 5.0, "the handler is called")
    assert {event.message for call in notebook.called for event in call} == {"event 0"}
    assert pending_of(broker) == 5


def _is_longer(calls: Sequence[Any], so_far: int) -> bool:
    return len(calls) > so_far


# A broker that loses its data


def test_a_worker_goes_on_after_the_broker_was_flushed(broker: Valkey, publisher: Publisher) -> None:
    notebook = Notebook()
    publish(publisher, "before")
    with Running(broker.url, notebook.handle):
        notebook.wait_handled(1)
        broker.ask("FLUSHALL")
        publish(publisher, "after")
        notebook.wait_handled(2, within_s=3.0)
        wait_settled(broker)
    assert notebook.messages == ["before", "after"]


def test_a_worker_with_a_failed_event_goes_on_after_the_broker_was_flushed(
    broker: Valkey, publisher: Publisher
) -> None:
    notebook = Notebook(raise_for("bad"))
    publish(publisher, "bad", "before")
    with Running(broker.url, notebook.handle):
        notebook.wait_handled(1)
        broker.ask("FLUSHALL")
        publish(publisher, "after")
        notebook.wait_handled(2, within_s=5.0)
    assert notebook.messages == ["before", "after"]


def test_a_worker_goes_on_after_the_broker_was_restarted_without_its_data(
    broker: Valkey, publisher: Publisher
) -> None:
    notebook = Notebook()
    publish(publisher, "before")
    with Running(broker.url, notebook.handle):
        notebook.wait_handled(1)
        broker.kill()
        broker.start()
        publish_at_last(publisher, "after")
        # The pause doubles up to five seconds while the broker is away.
        notebook.wait_handled(2, within_s=8.0)
        wait_settled(broker)
    assert notebook.messages == ["before", "after"]


def test_what_was_not_acknowledged_when_the_broker_went_away_is_handled_again() -> None:
    go = threading.Event()
    notebook = Notebook(wait_on(go))
    with Valkey() as broker:
        publisher = publisher_on(broker.url)
        publish(publisher, "in hand", "too")
        with Running(broker.url, notebook.handle):
            wait_until(lambda: notebook.called, 5.0, "the handler is called")
            broker.stop()
            go.set()
            notebook.wait_handled(2)
            broker.start()
            wait_settled(broker)
        assert dead_of(broker) == []
        publisher.close()
    assert set(notebook.messages) == {"in hand", "too"}


def test_a_worker_that_starts_before_its_broker_waits_for_it() -> None:
    notebook = Notebook()
    with Valkey(appendonly=False) as broker:
        broker.stop()
        with Running(broker.url, notebook.handle):
            broker.start()
            publisher = publisher_on(broker.url)
            publish(publisher, "first")
            notebook.wait_handled(1, within_s=8.0)
            publisher.close()


# Being asked to end, being killed, and hanging


def test_term_finishes_the_batch_in_hand_and_gives_everything_back(
    broker: Valkey, publisher: Publisher, tmp_path: Path
) -> None:
    publish(publisher, "wait for it", "second")
    with worker_on(broker, tmp_path) as worker:
        wait_called_with(tmp_path, "wait for it")
        threading.Timer(0.5, (tmp_path / GO).touch).start()
        assert worker.terminate() == 0, worker.log_text()
    assert handled_in(tmp_path) == ["wait for it", "second"]
    assert pending_of(broker) == 0
    assert holders_of(broker, 1) == {}


def test_ctrl_c_ends_a_worker_in_the_same_way(broker: Valkey, tmp_path: Path) -> None:
    with worker_on(broker, tmp_path) as worker:
        worker.stop_signal = signal.SIGINT
        assert worker.terminate() == 0, worker.log_text()
        assert "Traceback" not in worker.log_text()
    assert holders_of(broker, 1) == {}


def test_stop_may_be_called_at_any_moment_as_a_signal_handler_does(broker: Valkey) -> None:
    consumer = Consumer(broker.url, do_nothing, group=GROUP, partitions=1)
    is_at_work = threading.Event()

    def interrupt(frame: FrameType, _event: str, _arg: Any) -> Any:
        # A signal is handled between two steps of the main thread, here while it looks whether to end.
        if frame.f_code in STOPPING and is_at_work.is_set():
            consumer.stop()
        return interrupt

    def run() -> None:
        sys.settrace(interrupt)
        consumer.run()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    wait_until(lambda: holders_of(broker, 1), 5.0, "the worker has its partition")
    is_at_work.set()
    thread.join(2.0)
    assert not thread.is_alive(), "stop() never returns when it interrupts the worker's own wait"


def test_what_a_killed_worker_had_in_hand_is_handled_by_the_next(
    broker: Valkey, publisher: Publisher, tmp_path: Path
) -> None:
    publish(publisher, "first", "wait here", "last")
    with worker_on(broker, tmp_path) as worker:
        wait_called_with(tmp_path, "wait here")
        worker.kill()
        assert handled_in(tmp_path) == []
        assert pending_of(broker) == 3
        (tmp_path / GO).touch()
        let_leases_run_out(broker)
        worker.start()
        wait_handled_in(tmp_path, "first", "wait here", "last")
        wait_settled(broker)
        assert handled_in(tmp_path) == ["first", "wait here", "last"]
        assert {event["attempts"] for event in read_notes(tmp_path, "handled")} == {2}
    assert dead_of(broker) == []


def test_only_the_event_that_hangs_every_worker_dies_at_last(
    broker: Valkey, publisher: Publisher, tmp_path: Path
) -> None:
    publish(publisher, "first", "hang", "last")
    with worker_on(broker, tmp_path, "--handler-timeout", "1", "--deliveries", "2") as worker:
        assert worker.wait_ended() == 1, worker.log_text()
        assert "hung" in worker.log_text()
        let_leases_run_out(broker)
        worker.start()
        assert worker.wait_ended() == 1, worker.log_text()
        assert handled_in(tmp_path) == ["first"]
        let_leases_run_out(broker)
        worker.start()
        wait_handled_in(tmp_path, "last")
        wait_settled(broker)
        (letter,) = dead_of(broker)
    event = letter.event()
    assert event is not None
    assert event.message == "hang"
    assert "hung" in letter.reason
    assert handled_in(tmp_path) == ["first", "last"]


def test_only_the_event_that_kills_every_worker_dies_at_last(
    broker: Valkey, publisher: Publisher, tmp_path: Path
) -> None:
    publish(publisher, "first", "exit", "last")
    with worker_on(broker, tmp_path, "--deliveries", "2") as worker:
        for _ in range(2):
            assert worker.wait_ended() == 9, worker.log_text()
            let_leases_run_out(broker)
            worker.start()
        wait_handled_in(tmp_path, "first", "last")
        (letter,) = wait_dead(broker, 1)
    event = letter.event()
    assert event is not None
    assert event.message == "exit"
    assert handled_in(tmp_path) == ["first", "last"]


# Partitions shared between workers


def test_workers_share_the_partitions_fairly_as_they_come_and_go(broker: Valkey) -> None:
    with ExitStack() as stack:
        workers = []
        for shares in ([6], [3, 3], [2, 2, 2]):
            running = Running(broker.url, do_nothing, partitions=PARTITIONS)
            workers.append(stack.enter_context(running))
            wait_shares(broker, *shares)
        workers[0].stop()
        assert sum(map(len, holders_of(broker).values())) >= 4
        wait_shares(broker, 3, 3, within_s=1.0 + SLACK_S)


def test_a_joining_worker_gets_a_share_when_the_partitions_do_not_divide_evenly(broker: Valkey) -> None:
    with ExitStack() as stack:
        for shares in ([4], [2, 2], [2, 1, 1]):
            stack.enter_context(Running(broker.url, do_nothing, partitions=4))
            wait_shares(broker, *shares, within_s=6.0)


def test_a_worker_that_ends_gives_its_partitions_back_at_once(broker: Valkey) -> None:
    with Running(broker.url, do_nothing, partitions=PARTITIONS) as running:
        wait_shares(broker, 6)
        assert running.stop() < 0.5 + SLACK_S
        assert holders_of(broker) == {}
        assert broker.ask("ZCARD", f"vigilry:members:{GROUP}") == 0


def test_the_partitions_of_a_killed_worker_move_when_its_lease_has_run_out(
    broker: Valkey, tmp_path: Path
) -> None:
    notebook = Notebook()
    with worker_on(broker, tmp_path, stream_partitions=PARTITIONS) as worker:
        wait_shares(broker, 6)
        with Running(broker.url, notebook.handle, partitions=PARTITIONS):
            wait_shares(broker, 3, 3)
            worker.kill()
            wait_shares(broker, 6, within_s=LEASE_S + 1.5 + SLACK_S / 3)


def test_the_order_within_a_project_holds_while_workers_come_and_go(broker: Valkey) -> None:
    projects = [new_project() for _ in range(12)]
    publisher = publisher_on(broker.url, partitions=PARTITIONS)
    notebook = Notebook(lambda _events: time.sleep(0.005))
    rounds = 40
    with ExitStack() as stack:
        for joining in range(rounds):
            if joining in (0, 10, 20):
                running = Running(broker.url, notebook.handle, partitions=PARTITIONS, batch=10)
                stack.enter_context(running)
            if joining == 30:
                running.stop()
            for project in projects:
                publish(publisher, f"event {joining}", project=project)
            if joining % 10 == 9:
                # So that the partitions move meanwhile: the leases are looked at once a second.
                wait_until(_after(1.0), 5.0, "a second has gone by")
        notebook.wait_handled(rounds * len(projects), within_s=30.0)
        wait_settled(broker, PARTITIONS)
    publisher.close()
    for project in projects:
        messages = [event.message for event in notebook.handled if event.project_id == project]
        assert messages == numbered(rounds), "each once, and in order"


def _after(seconds: float) -> Callable[[], bool]:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() >= end


def test_a_worker_frozen_past_its_lease_does_no_harm_when_it_wakes(
    broker: Valkey, publisher: Publisher, tmp_path: Path
) -> None:
    publish(publisher, "wait here", *numbered(3))
    with worker_on(broker, tmp_path) as frozen:
        wait_called_with(tmp_path, "wait here")
        frozen.freeze()
        (tmp_path / GO).touch()
        with worker_on(broker, tmp_path) as other:
            wait_handled_in(tmp_path, *numbered(3))
            publish(publisher, *numbered(3, start=3))
            wait_handled_in(tmp_path, *numbered(6))
            frozen.thaw()
            publish(publisher, *numbered(20, start=6))
            wait_handled_in(tmp_path, *numbered(26))
            wait_settled(broker)
            assert other.alive
            assert frozen.alive
    by_other = [each["message"] for each in read_notes(tmp_path, "handled") if each["pid"] == other.pid]
    assert by_other == ["wait here", *numbered(26)], "the one that has the partition handles all, in order"
    assert dead_of(broker) == []


def test_a_worker_that_slept_past_its_lease_reads_nothing_that_is_not_its_own(
    broker: Valkey, publisher: Publisher, tmp_path: Path
) -> None:
    publish(publisher, "first")
    with worker_on(broker, tmp_path) as frozen:
        wait_handled_in(tmp_path, "first")
        wait_settled(broker)
        frozen.freeze()
        with worker_on(broker, tmp_path) as other:
            wait_until(lambda: len(holders_of(broker, 1)) == 1, 5.0, "there is one holder")
            publish(publisher, "second")
            wait_handled_in(tmp_path, "second")
            # From here on there is always more to read than one of them has read.
            publish(publisher, *numbered(1000))
            frozen.thaw()
            publish(publisher, *numbered(1000, start=1000))
            wait_handled_in(tmp_path, *numbered(2000))
            wait_settled(broker)
    handled = [each for each in read_notes(tmp_path, "handled") if each["message"] in set(numbered(2000))]
    assert [each["message"] for each in handled] == numbered(2000), "each once, and in order"
    # The one that woke is the older one, so it gets the partition back, but not before it is given to it.
    by = [each["pid"] for each in handled]
    given_back_at = by.index(frozen.pid) if frozen.pid in by else len(by)
    assert by == [other.pid] * given_back_at + [frozen.pid] * (len(by) - given_back_at)


def test_a_worker_that_loses_a_partition_in_the_middle_of_a_batch_leaves_the_rest(
    broker: Valkey, publisher: Publisher
) -> None:
    def one_at_a_time(events: Sequence[Delivered]) -> None:
        if len(events) > 1:
            raise ValueError("too many")

    publish(publisher, *numbered(3))
    notebook = Notebook(one_at_a_time)
    with broker.client(decode_responses=False) as client:
        make_group(client, 0, GROUP)
        answer: Any = client.xreadgroup(GROUP, "me", {events_key(0): ">"})
        hands = Dispatcher(
            client, notebook.handle, group=GROUP, name="me", max_batch=500, max_deliveries=5,
            stop_flag=StopFlag(), held=lambda: set() if notebook.handled else {0},
        )  # fmt: skip
        deliveries = [Delivery(0, entry_id, fields, 1) for entry_id, fields in answer[0][1]]
        assert hands.handle(deliveries) == {0}
    assert notebook.messages == ["event 0"]
    assert pending_of(broker) == 2


def test_a_worker_that_slept_as_it_went_one_by_one_comes_back_to_the_rest_first(
    broker: Valkey, publisher: Publisher, tmp_path: Path
) -> None:
    def is_alone_with_it() -> bool:
        called = [each["message"] for each in read_notes(tmp_path, "called")]
        return called.count("wait here") == 2

    publish(publisher, "event 0", "raise an error", "wait here", *numbered(200, start=1))
    with worker_on(broker, tmp_path, "--deliveries", "2") as worker:
        wait_until(is_alone_with_it, 10.0, "it goes one by one")
        worker.freeze()
        (tmp_path / GO).touch()
        publish(publisher, *numbered(20, start=201))
        time.sleep(LEASE_S + 0.5)
        worker.thaw()
        wait_handled_in(tmp_path, *numbered(221))
        wait_settled(broker)
    handled = [message for message in handled_in(tmp_path) if message != "wait here"]
    assert handled == numbered(221)


def test_only_consumers_that_have_nothing_are_removed(broker: Valkey, publisher: Publisher) -> None:
    publish(publisher, "first")
    with broker.client(decode_responses=False) as client:
        make_group(client, 0, GROUP)
        client.xreadgroup(GROUP, "has one", {events_key(0): ">"})
        for name in ("idle", "me"):
            client.xgroup_createconsumer(events_key(0), GROUP, name)
        remove_idle_consumers(client, 0, GROUP, "me")
        consumers: Any = client.xinfo_consumers(events_key(0), GROUP)
    assert {each["name"] for each in consumers} == {b"has one", b"me"}


# In a cluster


@pytest.fixture(scope="module")
def cluster() -> Iterator[ClusterSetup]:
    with ClusterSetup() as cluster:
        yield cluster


def test_workers_share_a_cluster_and_go_on_when_a_primary_fails(cluster: ClusterSetup) -> None:
    notebook = Notebook()
    projects = [a_project_on(partition, PARTITIONS) for partition in range(PARTITIONS)]
    publisher = publisher_on(cluster.url, partitions=PARTITIONS)
    with (
        Running(cluster.url, notebook.handle, partitions=PARTITIONS),
        Running(cluster.url, notebook.handle, partitions=PARTITIONS),
    ):
        for project in projects:
            publish(publisher, *numbered(3), project=project)
        notebook.wait_handled(3 * PARTITIONS)
        primary = cluster.kill_primary_of(events_key(0))
        cluster.wait_failover(primary)
        for project in projects:
            publish_at_last(publisher, "after", project=project)
        wait_until(lambda: notebook.messages.count("after") >= PARTITIONS, 20.0, "all is handled")
        primary.start()
        cluster.wait_ok()
    publisher.close()


def test_a_worker_waits_for_a_cluster_that_is_down_as_a_whole(cluster: ClusterSetup) -> None:
    notebook = Notebook()
    publisher = publisher_on(cluster.url)
    with Running(cluster.url, notebook.handle) as running:
        publish_at_last(publisher, "before")
        wait_until(lambda: "before" in notebook.messages, 10.0, "the event is handled")
        for node in cluster.nodes:
            node.kill()
        wait_until(_after(2.0), 5.0, "the worker has noticed")
        assert running.is_alive
        for node in cluster.nodes:
            node.start()
        cluster.wait_ok()
        publish_at_last(publisher, "after")
        wait_until(lambda: "after" in notebook.messages, 10.0, "the event is handled")
    publisher.close()
