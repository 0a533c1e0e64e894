"""The bytes of a stream: counted as events are appended and trimmed, bounded, and read within a budget."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it has no stubs
import pytest
from msgspec.structs import replace

from tests.fixtures.consuming import Notebook, Running
from tests.fixtures.publishing import STREAM, an_event, entries_of, new_project, publisher_on, refusal_of
from tests.fixtures.servers.valkey import Valkey
from tests.fixtures.servers.waiting import wait_until
from tests.fixtures.servers.worker import Worker
from vigilry_ingest.domain.event import Event
from vigilry_ingest.domain.ids import new_id
from vigilry_ingest.storage.engine import make_engine
from vigilry_ingest.storage.event_queries import Filter, count_events
from vigilry_ingest.storage.migrate import upgrade
from vigilry_ingest.stream.consuming.pending import make_group
from vigilry_ingest.stream.consuming.retention import trim
from vigilry_ingest.stream.entry_size import query_sizes
from vigilry_ingest.stream.publishing.publisher import Published, Publisher

MIB = 1024 * 1024


def event_of(size: int, project: str = "proj_1") -> Event:
    """Make an event with a payload of a size."""
    payload = b'{"a":"%s"}' % (b"x" * size)
    return replace(an_event(project), id=new_id("evt"), payload=payload)


def size_of(broker: Valkey) -> int:
    """Return the counted size of the stream."""
    with broker.client(decode_responses=False) as client:
        size = query_sizes(client, [0])[0]
    assert size is not None
    return size


def bytes_on(broker: Valkey) -> int:
    """Return the real size of the entries on the stream."""
    return sum(len(name) + len(value) for _, entry in entries_of(broker) for name, value in entry.items())


def trim_to(broker: Valkey, remaining: int) -> None:
    """Trim all but the last entries."""
    with broker.client(decode_responses=False) as client:
        make_group(client, 0, "store")
        entry_ids = [entry_id for entry_id, _ in entries_of(broker)]
        client.xreadgroup("store", "me", {STREAM: ">"}, count=10_000)
        if done := entry_ids[: len(entry_ids) - remaining]:
            client.xack(STREAM, "store", *done)
        trim(client, 0)
    assert broker.ask("XLEN", STREAM) == remaining


def test_every_appended_entry_is_counted_alone_in_a_batch_and_with_a_key(
    broker: Valkey, publisher: Publisher
) -> None:
    publisher.publish(event_of(1000))
    publisher.publish_all([(event_of(size), ()) for size in (1, 20, 300_000)], "proj_1")
    assert size_of(broker) == bytes_on(broker)


def test_the_size_follows_what_is_trimmed_to_the_distance_of_two_marks(
    broker: Valkey, publisher: Publisher
) -> None:
    for _ in range(40):
        publisher.publish(event_of(MIB))
    for remaining in (30, 17, 3):
        trim_to(broker, remaining)
        assert 0 <= size_of(broker) - bytes_on(broker) <= 6 * MIB
    trim_to(broker, 0)
    assert size_of(broker) == 0


@pytest.mark.parametrize("together", [True, False])
def test_a_stream_takes_no_more_bytes_than_its_maximum_and_says_which_maximum(
    broker: Valkey, together: bool
) -> None:
    with closing(publisher_on(broker.url, max_bytes=10 * MIB)) as publisher:
        if together:
            outcomes = publisher.publish_all([(event_of(MIB), ()) for _ in range(15)], "proj_1")
            assert [isinstance(each, Published) for each in outcomes] == [True] * 10 + [False] * 5
        else:
            for _ in range(10):
                publisher.publish(event_of(MIB))
        error = refusal_of(publisher, event_of(1))
        assert (error.code, error.retry_after) == ("stream_full", 1)
        assert "VIGILRY_STREAM_MAX_BYTES" in error.detail
        trim_to(broker, 5)
        publisher.publish(event_of(1))


def test_a_maximum_of_entries_names_itself(broker: Valkey) -> None:
    with closing(publisher_on(broker.url, max_entries=1)) as publisher:
        publisher.publish(event_of(1))
        assert "VIGILRY_STREAM_MAX_ENTRIES" in refusal_of(publisher, event_of(1)).detail


def test_small_entries_are_read_in_full_batches_beside_a_stream_of_large_ones(broker: Valkey) -> None:
    sizes: list[int] = []

    def note(events: Sequence[object]) -> None:
        sizes.append(len(events))

    with closing(publisher_on(broker.url, partitions=2)) as publisher:
        projects = [new_project() for _ in range(20)]
        for project in projects:
            publisher.publish_all([(event_of(10, project), ()) for _ in range(50)], project)
        for _ in range(6):
            publisher.publish(event_of(5 * MIB, projects[0]))
        notebook = Notebook(note)
        with Running(broker.url, notebook.handle, partitions=2):
            notebook.wait_handled(1006)
    assert len(sizes) < 20


def test_entries_that_nobody_has_counted_are_read_too(broker: Valkey, publisher: Publisher) -> None:
    for _ in range(20):
        publisher.publish(event_of(MIB))
    broker.ask("DEL", "vigilry:{0}:size", "vigilry:{0}:size:marks")
    notebook = Notebook()
    with Running(broker.url, notebook.handle):
        notebook.wait_handled(20)
    assert max(map(len, notebook.called)) <= 18


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_worker_stays_small_whatever_is_on_the_stream_and_an_ordinary_event_is_soon_processed(
    request: pytest.FixtureRequest, broker: Valkey, tmp_path: Path, kind: str
) -> None:
    is_sqlite = kind == "sqlite"
    url = f"sqlite:///{tmp_path}/a.db" if is_sqlite else request.getfixturevalue("postgres").new_database()
    engine = make_engine(url)
    upgrade(engine)
    names = [f"name {number}" for number in range(64)]
    wide = "{" + ",".join(f'"{name}":"{"v" * 190}"' for name in names) + "}"
    with closing(publisher_on(broker.url)) as publisher:
        for _ in range(40):
            publisher.publish(event_of(5 * MIB - 1000))
        for _ in range(30):
            wide_events = [replace(event_of(10), correlation=wide.encode()) for _ in range(100)]
            publisher.publish_all([(event, ()) for event in wide_events], "proj_1")
    settings = {"VIGILRY_REDIS_URL": broker.url, "VIGILRY_DATABASE_URL": url}
    with Worker(settings) as worker, closing(publisher_on(broker.url)) as publisher:
        peak = 0

        def is_done() -> bool:
            nonlocal peak
            peak = max(peak, psutil.Process(worker.pid).memory_info().rss)
            return count_events(engine, Filter(project="proj_1")) == 3040

        wait_until(is_done, 60.0, "all events are stored")
        publisher.publish(event_of(10, "proj_2"))
        wait_until(lambda: count_events(engine, Filter(project="proj_2")) == 1, 5.0, "it is stored")
    engine.dispose()
    assert peak < 256 * MIB
