"""A slow or missing database: batches shrink, no event blocks the others, and memory stays flat."""

import gc
import logging
import tracemalloc
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import Engine, make_url, text

from tests.fixtures.consuming import Running
from tests.fixtures.databases import dispose
from tests.fixtures.publishing import an_event, new_project
from tests.fixtures.servers.postgres import Postgres
from tests.fixtures.servers.valkey import Valkey
from tests.fixtures.servers.waiting import wait_until
from vigilry_ingest.domain.handler import Delivered
from vigilry_ingest.domain.ids import new_id
from vigilry_ingest.storage import event_writer
from vigilry_ingest.storage.engine import make_engine
from vigilry_ingest.storage.event_queries import Filter, newest_events
from vigilry_ingest.storage.event_writer import Store
from vigilry_ingest.storage.migrate import upgrade
from vigilry_ingest.stream.consuming.dead_letters import dead_letters
from vigilry_ingest.stream.consuming.dispatcher import Dispatcher
from vigilry_ingest.stream.consuming.pending import Delivery
from vigilry_ingest.stream.consuming.stop_flag import StopFlag
from vigilry_ingest.stream.consuming.timing import Timing
from vigilry_ingest.stream.publishing.publisher import Publisher

# Each row takes as many seconds as its message says.
_TRIGGER = """
CREATE FUNCTION wait_for_it() RETURNS trigger AS $$
BEGIN
  IF NEW.message ~ '^[0-9.]+ s' THEN PERFORM pg_sleep(substring(NEW.message FROM '^[0-9.]+')::float); END IF;
  RETURN NEW;
END $$ LANGUAGE plpgsql;
CREATE TRIGGER slow BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION wait_for_it();
"""


@pytest.fixture
def slow(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """Return a database whose rows take a stated time, of which a batch has half a second."""
    monkeypatch.setattr(event_writer, "_TIMEOUT_S", 0.5)
    url = make_url(postgres.new_database())
    engine = make_engine(url.render_as_string(hide_password=False))
    upgrade(engine)
    with engine.begin() as connection:
        connection.execute(text(_TRIGGER))
    dispose(engine)
    limited = url.update_query_dict({"options": "-c statement_timeout=500"})
    engine = make_engine(limited.render_as_string(hide_password=False))
    yield engine
    dispose(engine)


def stored(engine: Engine, project: str) -> list[str]:
    """Return the messages of a project's events, oldest first."""
    return [row.message for row in newest_events(engine, Filter(project=project), 1000)][::-1]


def test_a_batch_that_the_database_cannot_take_in_time_is_written_in_parts(
    slow: Engine, broker: Valkey, publisher: Publisher
) -> None:
    project = new_project()
    messages = [f"0.05 s {number}" for number in range(30)]
    for message in messages:
        publisher.publish(replace(an_event(project, message), id=new_id("evt")))
    with Running(broker.url, Store(slow).write, deliveries=2):
        wait_until(lambda: len(stored(slow, project)) == 30, 30.0, "all events are stored")
    with broker.client(decode_responses=False) as client:
        assert list(dead_letters(client, 1)) == []


def test_only_an_event_that_the_database_never_takes_in_time_becomes_a_dead_letter(
    slow: Engine, broker: Valkey, publisher: Publisher
) -> None:
    project = new_project()
    for message in ["first", "30 s", *(f"event {number}" for number in range(10))]:
        publisher.publish(replace(an_event(project, message), id=new_id("evt")))
    with (
        Running(broker.url, Store(slow).write, deliveries=2),
        broker.client(decode_responses=False) as client,
    ):
        wait_until(lambda: list(dead_letters(client, 1)), 30.0, "it is a dead letter")
        (letter,) = dead_letters(client, 1)
        wait_until(lambda: len(stored(slow, project)) == 11, 10.0, "the others are stored")
    assert letter.reason.startswith("DatabaseTimeout: The database has not responded in time")
    assert (event := letter.event()) is not None
    assert event.message == "30 s"


def test_no_event_becomes_a_dead_letter_while_a_table_is_locked(
    slow: Engine, broker: Valkey, publisher: Publisher
) -> None:
    project = new_project()
    with slow.begin() as locking, broker.client(decode_responses=False) as client:
        locking.execute(text("LOCK TABLE events IN ACCESS EXCLUSIVE MODE"))
        publisher.publish(an_event(project, "wait"))
        with Running(broker.url, Store(slow).write, deliveries=1):
            with pytest.raises(AssertionError, match="waited"):
                wait_until(lambda: list(dead_letters(client, 1)), 4.0, "it is a dead letter")
            locking.commit()
            wait_until(lambda: stored(slow, project) == ["wait"], 15.0, "it is stored")
        assert list(dead_letters(client, 1)) == []


class _Tries(StopFlag):
    """Stops a worker after a number of waits, which take no time."""

    def __init__(self, tries: int) -> None:
        super().__init__()
        self.remaining = tries

    def wait(self, _seconds: float) -> bool:
        self.remaining -= 1
        if self.remaining == 0:
            self.set()
        return self.remaining <= 0


class _NoBroker:
    """Stands where a client is needed and nothing is to be acknowledged."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_arguments, **_options: None


@pytest.mark.alone
def test_memory_is_flat_over_a_thousand_failed_tries(tmp_path: Path) -> None:
    (tmp_path / "none.db").write_bytes(b"this is no database" * 1000)
    engine = make_engine(f"sqlite:///{tmp_path}/none.db")
    payload = b'{"a":"%s"}' % (b"x" * 10_000)
    deliveries = [_delivery(number, payload) for number in range(50)]

    def try_often(times: int) -> None:
        dispatcher = Dispatcher(
            _NoBroker(), Store(engine).write, group="store", name="me", max_batch=500, max_deliveries=5,
            stop_flag=_Tries(times), held=lambda: {0}, timing=Timing(retry_pause_s=0.0),
        )  # fmt: skip
        dispatcher.handle(deliveries)

    # Without the collector, what is kept in cycles shows at once. pytest would keep log records.
    gc.collect()
    gc.disable()
    logging.disable()
    tracemalloc.start()
    try:
        try_often(20)
        before, _ = tracemalloc.get_traced_memory()
        try_often(1000)
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        logging.disable(logging.NOTSET)
        gc.enable()
    assert after - before < 1_000_000
    assert peak - before < 20_000_000
    dispose(engine)


def _delivery(number: int, payload: bytes) -> Delivery:
    texts = an_event("proj_1", f"event {number}").to_entry()
    encoded = [each if isinstance(each, bytes) else each.encode() for each in (*texts, "payload", payload)]
    entry = dict(zip(encoded[::2], encoded[1::2], strict=True))
    return Delivery(0, b"%d-0" % (1_769_903_999_123 + number), entry, 1)


def test_a_handlers_failures_keep_no_memory() -> None:
    large = b"x" * 1_000_000

    def fail(events: Sequence[Delivered]) -> None:
        kept = large + b"y"
        raise ValueError(f"no {len(kept)} {len(events)}")

    gc.collect()
    gc.disable()
    # pytest would keep the log's tracebacks.
    logging.disable()
    tracemalloc.start()
    try:
        for _ in range(3):
            dispatcher = Dispatcher(
                _NoBroker(), fail, group="store", name="me", max_batch=500, max_deliveries=5,
                stop_flag=StopFlag(), held=lambda: {0},
            )  # fmt: skip
            dispatcher.handle([_delivery(number, b"{}") for number in range(20)])
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        logging.disable(logging.NOTSET)
        gc.enable()
    assert kept < 1_000_000
