"""The default handler of the worker and its finder: what goes into SQL, and what comes out."""

import json
import random
import re
import string
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.event import listen

from tests.fixtures.databases import dispose
from tests.fixtures.publishing import new_project
from tests.fixtures.sender import EXAMPLES
from tests.fixtures.servers.postgres import Postgres
from tests.fixtures.servers.waiting import wait_until
from vigilry_ingest.api.schemas import events, server_error, stripe, webhook
from vigilry_ingest.api.schemas.json_object import parse_object
from vigilry_ingest.domain.event import Event, EventMetadata
from vigilry_ingest.domain.handler import Delivered, TryLater
from vigilry_ingest.domain.ids import new_id
from vigilry_ingest.storage.engine import make_engine
from vigilry_ingest.storage.event_groups import largest_groups
from vigilry_ingest.storage.event_queries import (
    Filter,
    count_events,
    find_event,
    find_job,
    newest_events,
    oldest_first,
    to_event,
)
from vigilry_ingest.storage.event_writer import Store
from vigilry_ingest.storage.migrate import upgrade
from vigilry_ingest.storage.models import StoredEvent

BEGIN = datetime(2026, 1, 31, 23, 59, 59, 123000, tzinfo=UTC)
READERS = {
    "events": events.to_event,
    "server-error": server_error.to_event,
    "webhook": webhook.to_event,
    "stripe": stripe.to_event,
}
# A handler that takes longer is taken to hang; the default is 60.
HANDLER_S = 15.0
_numbers = count(1)


@pytest.fixture
def store(engine: Engine) -> Store:
    return Store(engine)


@pytest.fixture
def project() -> str:
    """Name a project of the test's own."""
    return new_project()


def delivered(project: str, **fields: Any) -> Delivered:
    """Make an event as a worker gets it."""
    number = next(_numbers)
    plain: dict[str, Any] = {
        "id": new_id("evt"),
        "project_id": project,
        "environment": "production",
        "kind": "event",
        "type": "checkout_failed",
        "severity": "ERROR",
        "message": f"event {number}",
        "received_at": moment(timedelta()),
        "request_id": f"req_{number}",
        "job_id": f"bull-{1_769_903_999_123_000_000 + number}",
        "attempts": 1,
    }
    return Delivered(**(plain | fields))


def moment(after: timedelta) -> str:
    """Write a moment some time after the begin of these tests' events, as the service does."""
    return (BEGIN + after).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def stored(engine: Engine, project: str, **wanted: Any) -> list[StoredEvent]:
    """Find a project's events, newest first."""
    return newest_events(engine, Filter(project=project, **wanted), 10_000)


def the_one(engine: Engine, project: str) -> StoredEvent:
    """Find the only event of a project."""
    (row,) = stored(engine, project)
    return row


def found(engine: Engine, project: str, **wanted: Any) -> list[str]:
    """Find the messages of a project's events that fit, newest first."""
    return [row.message for row in stored(engine, project, **wanted)]


def as_event(event: Delivered) -> Event:
    """Take off what only the delivery knows."""
    return Event(**{name: getattr(event, name) for name in Event.__struct_fields__})


# What is stored


@pytest.mark.parametrize("endpoint", READERS)
def test_each_kind_of_event_is_stored_field_by_field(
    engine: Engine, store: Store, project: str, endpoint: str
) -> None:
    metadata = EventMetadata(
        id=new_id("evt"),
        project_id=project,
        environment="staging",
        received_at=moment(timedelta()),
        request_id="req_of the sender",
        idempotency_key="order-4421",
        traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    )
    event = READERS[endpoint](parse_object(json.dumps(EXAMPLES[endpoint]).encode()), metadata)
    if isinstance(event, tuple):
        event = event[0]
    fields = {name: getattr(event, name) for name in Event.__struct_fields__}
    before = datetime.now(UTC)
    store.write([Delivered(**fields, job_id="bull-1769903999123000007", attempts=1)])
    row = the_one(engine, project)
    assert to_event(row) == event
    assert row.job_number == 1769903999123000007
    assert row.received_at == BEGIN
    assert before <= row.processed_at <= datetime.now(UTC)


def test_an_event_without_anything_optional_is_stored(engine: Engine, store: Store, project: str) -> None:
    event = delivered(project)
    store.write([event])
    row = the_one(engine, project)
    assert to_event(row) == as_event(event)
    absent = (row.source, row.correlation, row.payload, row.idempotency_key, row.traceparent)
    assert absent == (None, None, None, None, None)


JSON_TEXTS = {
    "spaces and line breaks": b'{ "a" :\r\n\t1 ,\n"b":{ } }',
    "numbers beyond doubles": b'{"e": 1e400, "n": 1234567890123456789012345678901234567890, "z": -0.0}',
    "escapes": rb'{"\u0061": "\/ \u20ac \ud83d\ude00 \\u0000"}',
    "U+0000": rb'{"nul": "a\u0000b", "\u0000": 0}',
    "text of every plane": '{"ü": "😀 漢字 \u2028"}'.encode(),
    "one name twice": b'{"a": 1, "a": 2}',
    "nested": b'{"a":' + b"[" * 90 + b"]" * 90 + b"}",
}


@pytest.mark.parametrize("kind", JSON_TEXTS)
def test_payload_and_correlation_are_kept_byte_for_byte(
    engine: Engine, store: Store, project: str, kind: str
) -> None:
    event = delivered(project, payload=JSON_TEXTS[kind], correlation=JSON_TEXTS[kind])
    store.write([event])
    row = to_event(the_one(engine, project))
    assert row.payload == JSON_TEXTS[kind]
    assert row.correlation == JSON_TEXTS[kind]


def test_a_payload_of_a_mebibyte_is_kept(engine: Engine, store: Store, project: str) -> None:
    payload = b'{"x": "' + b"y" * (1024 * 1024) + b'"}'
    store.write([delivered(project, payload=payload)])
    assert to_event(the_one(engine, project)).payload == payload


def test_u_0000_in_text_is_stored_as_the_replacement_character(
    engine: Engine, store: Store, project: str
) -> None:
    texts = {name: f"{name} \0." for name in ("type", "message", "source", "idempotency_key")}
    store.write(
        [
            delivered(project, **texts, correlation=rb'{"a\u0000b": "c\u0000d"}', payload=rb'{"\u0000": 1}'),
            delivered(project, message="beside it"),
        ]
    )
    beside, row = sorted(stored(engine, project), key=lambda each: each.message)
    assert beside.message == "beside it"
    for name in texts:
        assert getattr(row, name) == f"{name} \ufffd."
    assert row.payload == r'{"\u0000": 1}'
    assert row.correlation == r'{"a\u0000b": "c\u0000d"}'
    assert found(engine, project, correlation={"a\ufffdb": "c\ufffdd"}) == [row.message]


def test_text_of_any_length_and_plane_is_stored(engine: Engine, store: Store, project: str) -> None:
    # Random, because PostgreSQL would compress anything regular below the limit of its index.
    drawn = random.Random(7)  # noqa: S311  # nothing here is secret
    kinds = {
        "long": "".join(drawn.choices(string.ascii_letters, k=100_000)),
        "emoji": "".join(chr(drawn.randrange(0x1F300, 0x1F5FF)) for _ in range(10_000)),
    }
    for kind in kinds.values():
        event = delivered(
            project,
            type=kind,
            message=kind,
            source=kind,
            correlation=json.dumps({kind: kind, "a": kind}).encode(),
        )
        store.write([event])
    rows = {row.message: row for row in stored(engine, project)}
    assert rows.keys() == set(kinds.values())
    for kind in kinds.values():
        assert rows[kind].source == kind
        assert kind.startswith(rows[kind].type)
        assert len(rows[kind].type) >= 255


def test_the_same_batch_written_twice_is_stored_once(engine: Engine, store: Store, project: str) -> None:
    batch = [delivered(project, correlation=b'{"order": "7"}') for _ in range(50)]
    store.write(batch)
    first = {row.id: row.processed_at for row in stored(engine, project)}
    store.write([*batch, *batch, delivered(project, message="new")])
    again = {row.id: row.processed_at for row in stored(engine, project)}
    assert len(again) == 51
    assert first.items() <= again.items(), "what was stored before stays as it was"
    assert len(found(engine, project, correlation={"order": "7"})) == 50


def test_two_workers_that_write_the_same_at_once_store_it_once(
    engine: Engine, store: Store, project: str
) -> None:
    batches = [[delivered(project, correlation=b'{"a": "b"}') for _ in range(100)] for _ in range(5)]

    def write(order: int) -> None:
        for batch in batches:
            write_at_last(store, batch[::order])

    with ThreadPoolExecutor(2) as pool:
        # Each in an order of its own, so that they may hold each other up.
        assert list(pool.map(write, (1, -1))) == [None, None]
    assert count_events(engine, Filter(project=project)) == 500


def write_at_last(store: Store, batch: list[Delivered]) -> None:
    """Write a batch as a worker does: again and again while it is asked to try later."""

    def is_written() -> bool:
        store.write(batch)
        return True

    wait_until(is_written, 15.0, "the batch is written", ignoring=(TryLater,))


def test_a_batch_with_an_event_that_cannot_be_stored_is_refused_whole(
    engine: Engine, store: Store, project: str
) -> None:
    good, bad = delivered(project), delivered(project, received_at="yesterday")
    with pytest.raises(ValueError, match="yesterday"):
        store.write([good, bad])
    assert stored(engine, project) == []
    store.write([good])
    assert the_one(engine, project).id == good.id


# A database that cannot be used: no event is at fault


@contextmanager
def database_of(postgres: Postgres, **settings: str) -> Iterator[Engine]:
    """Make a database of the test's own, with settings that hold for every new session."""
    engine = make_engine(postgres.new_database())
    upgrade(engine)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for name, value in settings.items():
            connection.execute(text(f"ALTER DATABASE {engine.url.database} SET {name} TO '{value}'"))
    dispose(engine)
    try:
        yield engine
    finally:
        dispose(engine)


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    with Postgres() as server:
        yield server


def test_a_stopped_database_means_try_later_and_is_used_again_when_it_is_back(
    own_postgres: Postgres, project: str
) -> None:
    with database_of(own_postgres) as engine:
        store = Store(engine)
        store.write([delivered(project)])
        own_postgres.stop()
        for _ in range(2):
            with pytest.raises(TryLater, match=r"cannot be used|closed the connection"):
                store.write([delivered(project)])
        own_postgres.start()
        store.write([delivered(project)])
        assert len(stored(engine, project)) == 2


def test_a_database_that_does_not_answer_means_try_later_before_the_handler_counts_as_hung(
    own_postgres: Postgres, project: str
) -> None:
    with database_of(own_postgres) as engine, ThreadPoolExecutor(1) as pool:
        store = Store(engine)
        store.write([delivered(project)])
        own_postgres.freeze()
        writing = pool.submit(store.write, [delivered(project)])
        try:
            with pytest.raises(TryLater):
                writing.result(HANDLER_S)
        finally:
            own_postgres.thaw()


def test_a_database_that_only_reads_means_try_later(postgres: Postgres, project: str) -> None:
    with database_of(postgres, default_transaction_read_only="on") as engine, pytest.raises(TryLater):
        Store(engine).write([delivered(project)])


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_database_that_is_not_migrated_means_try_later_and_says_so(
    request: pytest.FixtureRequest, tmp_path: Path, project: str, kind: str
) -> None:
    is_sqlite = kind == "sqlite"
    url = f"sqlite:///{tmp_path}/a.db" if is_sqlite else request.getfixturevalue("postgres").new_database()
    engine = make_engine(url)
    with pytest.raises(TryLater, match="flask db upgrade"):
        Store(engine).write([delivered(project)])
    dispose(engine)


def test_a_file_that_is_no_database_or_is_not_there_means_try_later(tmp_path: Path, project: str) -> None:
    (tmp_path / "notes.db").write_text("These are notes, and no database at all.\n" * 100)
    for file in (tmp_path / "notes.db", tmp_path / "missing" / "a.db"):
        engine = make_engine(f"sqlite:///{file}")
        with pytest.raises(TryLater):
            Store(engine).write([delivered(project)])
        dispose(engine)


# What is found


def test_events_are_found_by_what_a_support_engineer_asks_for(
    engine: Engine, store: Store, project: str
) -> None:
    other = new_project()
    store.write(
        [
            delivered(project, message="a", severity="INFO", kind="event", type="t1"),
            delivered(project, message="b", severity="ERROR", kind="webhook", type="t1"),
            delivered(project, message="c", severity="ERROR", kind="stripe", type="t2"),
            delivered(other, message="d", severity="ERROR", kind="stripe", type="t2"),
        ]
    )
    assert sorted(found(engine, project)) == ["a", "b", "c"]
    assert sorted(found(engine, project, severity="ERROR")) == ["b", "c"]
    assert found(engine, project, kind="stripe") == ["c"]
    assert sorted(found(engine, project, type="t1")) == ["a", "b"]
    assert found(engine, project, type="t1", severity="ERROR", kind="webhook") == ["b"]
    assert found(engine, project, type="t") == []
    assert found(engine, other) == ["d"]
    assert found(engine, "no such project") == []


def test_a_time_range_begins_with_its_first_moment_and_ends_before_its_last(
    engine: Engine, store: Store, project: str
) -> None:
    for seconds in range(5):
        store.write(
            [delivered(project, message=f"{seconds}", received_at=moment(timedelta(seconds=seconds)))]
        )
    second = timedelta(seconds=1)
    assert found(engine, project) == ["4", "3", "2", "1", "0"]
    assert found(engine, project, since=BEGIN + 2 * second) == ["4", "3", "2"]
    assert found(engine, project, until=BEGIN + 2 * second) == ["1", "0"]
    assert found(engine, project, since=BEGIN + second, until=BEGIN + 3 * second) == ["2", "1"]
    assert found(engine, project, since=BEGIN + 5 * second) == []


def test_events_are_found_by_the_keys_of_their_correlation(
    engine: Engine, store: Store, project: str
) -> None:
    correlation = (
        b'{"order": "ord_1", "user": "us\\u00e9r \\"x\\"", "n": 42, "yes": true, "none": null,'
        b' "big": 12345678901234567890, "nested": {"order": "ord_2"}, "list": ["ord_3"], "": "empty"}'
    )
    store.write([delivered(project, message="a", correlation=correlation)])
    store.write([delivered(project, message="b", correlation=b'{"order": "ord_1"}')])
    store.write([delivered(project, message="c", correlation=b"{}"), delivered(project, message="d")])
    assert sorted(found(engine, project, correlation={"order": "ord_1"})) == ["a", "b"]
    for name, value in {
        "user": 'usér "x"',
        "n": "42",
        "yes": "true",
        "none": "null",
        "big": "12345678901234567890",
        "": "empty",
    }.items():
        assert found(engine, project, correlation={name: value}) == ["a"], name
    assert found(engine, project, correlation={"order": "ord_1", "n": "42"}) == ["a"]
    for name, value in {"order": "ord_2", "user": "ord_1", "list": '["ord_3"]', "nested": "x"}.items():
        assert found(engine, project, correlation={name: value}) == []
    assert found(engine, new_project(), correlation={"order": "ord_1"}) == []


def test_only_so_many_of_the_newest_are_listed_and_all_are_counted(
    engine: Engine, store: Store, project: str
) -> None:
    store.write(
        [
            delivered(project, message=f"{number}", received_at=moment(timedelta(seconds=number)))
            for number in range(20)
        ]
    )
    rows = newest_events(engine, Filter(project=project), 3)
    assert [row.message for row in rows] == ["19", "18", "17"]
    assert count_events(engine, Filter(project=project)) == 20


def test_all_events_are_given_oldest_first_however_many_pages_they_take(
    engine: Engine, store: Store, project: str
) -> None:
    # Partitions may share a jobId, also where a page ends.
    events = [
        delivered(project, job_id=f"bull-{5_000_000 + number // 3}", message=f"{number}")
        for number in range(1201)
    ]
    store.write(events[::-1])
    rows = list(oldest_first(engine, Filter(project=project)))
    assert [row.job_number for row in rows] == [5_000_000 + number // 3 for number in range(1201)]
    assert {row.message for row in rows} == {f"{number}" for number in range(1201)}


def test_a_job_is_found_by_its_own_project_only(engine: Engine, store: Store, project: str) -> None:
    other = new_project()
    mine, theirs = (delivered(each, job_id="bull-1700000000000000001") for each in (project, other))
    store.write([mine, theirs])
    row = find_job(engine, project, "production", 1700000000000000001)
    assert row is not None
    assert row.id == mine.id
    assert find_job(engine, project, "production", 1700000000000000002) is None
    assert find_job(engine, new_project(), "production", 1700000000000000001) is None
    assert find_job(engine, project, "development", 1700000000000000001) is None
    both = find_event(engine, job_number=1700000000000000001)
    assert {row.id for row in both} == {mine.id, theirs.id}
    assert [row.id for row in find_event(engine, event_id=mine.id)] == [mine.id]
    assert find_event(engine, event_id="evt_none") == []
    assert find_job(engine, project, "production", 2**63 - 1) is None


def test_times_are_told_in_utc_whatever_the_zone_of_the_database(postgres: Postgres, project: str) -> None:
    with database_of(postgres, timezone="Asia/Kolkata") as engine:
        Store(engine).write([delivered(project)])
        assert to_event(the_one(engine, project)).received_at == moment(timedelta())
        assert found(engine, project, until=BEGIN) == []
        assert len(found(engine, project, since=BEGIN)) == 1


QUESTIONS: dict[str, Callable[[Engine], object]] = {
    "a project's newest": lambda engine: newest_events(engine, Filter(project="p"), 50),
    "a project's of a time": lambda engine: newest_events(engine, Filter(project="p", since=BEGIN), 50),
    "a project's of a type": lambda engine: newest_events(engine, Filter(project="p", type="t"), 50),
    "a project's of a severity": lambda engine: newest_events(engine, Filter(project="p", severity="X"), 9),
    "a project's by correlation": lambda engine: newest_events(
        engine, Filter(project="p", correlation={"order_id": "7"}), 50
    ),
    "anybody's by correlation": lambda engine: newest_events(engine, Filter(correlation={"order": "7"}), 9),
    "anybody's newest": lambda engine: newest_events(engine, Filter(), 50),
    "a project's job": lambda engine: find_job(engine, "p", "production", 7),
    "anybody's job": lambda engine: find_event(engine, job_number=7),
    "an event": lambda engine: find_event(engine, event_id="evt_1"),
    "a replay of a project": lambda engine: list(oldest_first(engine, Filter(project="p"))),
    "a project's groups": lambda engine: largest_groups(engine, Filter(project="p", since=BEGIN), 50),
    "the events of a group": lambda engine: newest_events(engine, Filter(group="g"), 50),
    "a replay of all": lambda engine: list(oldest_first(engine, Filter())),
}  # fmt: skip


@pytest.mark.parametrize("question", QUESTIONS)
def test_no_question_is_answered_by_going_through_a_whole_table(tmp_path: Path, question: str) -> None:
    engine = make_engine(f"sqlite:///{tmp_path}/a.db")
    upgrade(engine)
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, query: str, values: Any, *_more: Any) -> None:
        asked.append((query, values))

    listen(engine, "before_cursor_execute", note)
    QUESTIONS[question](engine)
    for query, values in list(asked):
        with engine.connect() as connection:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", values)
            steps = [row[3] for row in plan]
        # In the order of an index it may be left after the first fifty.
        assert not re.search(r"SCAN (events$|events\n|event_correlations)", "\n".join(steps)), steps
    assert asked
    dispose(engine)


def test_sqlite_lets_people_read_while_the_worker_writes(tmp_path: Path, project: str) -> None:
    engine = make_engine(f"sqlite:///{tmp_path}/a.db")
    upgrade(engine)
    Store(engine).write([delivered(project)])
    with engine.connect() as writer:
        writer.exec_driver_sql("BEGIN IMMEDIATE")
        assert len(stored(engine, project)) == 1
    dispose(engine)
