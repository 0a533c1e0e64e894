"""``python -m benchmarks.partitions``: list a year of events on PostgreSQL, drop its months under load."""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from multiprocessing import get_context
from typing import NamedTuple

from sqlalchemy import Engine, text

from benchmarks.retention import distinct_load, p99, running_worker, stored_load
from benchmarks.year import DAYS, insert_year
from tests.fixtures.databases import migrate
from tests.fixtures.load import Load
from tests.fixtures.partitions import partition_since
from tests.fixtures.servers.gunicorn import Service
from tests.fixtures.servers.postgres import Postgres
from tests.fixtures.servers.valkey import Valkey
from tests.fixtures.servers.waiting import wait_until
from vigilry_ingest.api_keys.registry import mint
from vigilry_ingest.lifecycle.retention import purge_events
from vigilry_ingest.storage.engine import make_engine
from vigilry_ingest.storage.event_groups import largest_groups
from vigilry_ingest.storage.event_queries import Filter, find_event, newest_events
from vigilry_ingest.storage.partitions.layout import layouts

_CONNECTIONS = 4
_REPETITIONS = 15


class Result(NamedTuple):
    """What was measured: medians by question and times in seconds; ``lost`` and ``doubled`` count events."""

    rows: int
    questions: dict[str, float]
    drops: list[float]
    dropped: int
    rate: float
    accepted: int
    refused: int
    lost: int
    doubled: int
    p99_before_s: float
    p99_during_s: float


def questions(engine: Engine, rows: int) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield what people ask, by a name."""
    day = datetime.now(UTC) - timedelta(days=1)
    some = str(rows // 3)
    yield "newest 50", lambda: newest_events(engine, Filter(), 50)
    yield "newest 50 of a project", lambda: newest_events(engine, Filter(project="proj_3"), 50)
    yield "its errors", lambda: newest_events(engine, Filter(project="proj_0", severity="ERROR"), 50)
    yield "of a type", lambda: newest_events(engine, Filter(project="proj_3", type="type_3"), 50)
    yield "by correlation", lambda: newest_events(engine, Filter(correlation={"order": some}), 50)
    yield "a job", lambda: find_event(engine, job_number=rows // 3)
    yield "an event", lambda: find_event(engine, event_id=f"evt_{rows // 3:026}")
    yield "groups of a day", lambda: largest_groups(engine, Filter(since=day), 50)
    yield "groups of a year", lambda: largest_groups(engine, Filter(), 50)


def measure(database_url: str, rows: int, *, phase_s: float = 20.0) -> Result:
    """Store a year of events and list them; then drop the months one by one under load."""
    migrate(database_url)
    with ExitStack() as stack:
        engine = make_engine(database_url)
        stack.callback(engine.dispose)
        partition_since(engine, datetime.now(UTC) - timedelta(days=DAYS))
        insert_year(engine, rows)
        medians = {name: _median(ask) for name, ask in questions(engine, rows)}
        key = mint(engine, "shop", "production")
        valkey = stack.enter_context(Valkey(appendonly=False))
        settings: dict[str, str | int] = {
            "VIGILRY_REDIS_URL": valkey.url,
            "VIGILRY_DATABASE_URL": database_url,
        }
        service = stack.enter_context(Service(settings, workers=1, worker_class="gevent"))
        # Senders in this process must not wait for it; it is started now.
        other = stack.enter_context(ProcessPoolExecutor(1, get_context("spawn")))
        other.submit(_drop_months, database_url, 0.0, datetime.min.replace(tzinfo=UTC)).result()
        with running_worker(settings):
            pause_s = _pause_at_half_rate(service, engine, key.api_key, phase_s / 4)
            with Load(service.url, key.api_key, connections=_CONNECTIONS, pause_s=pause_s) as load:
                time.sleep(phase_s / 10)
                first = len(load.sent)
                time.sleep(phase_s)
                before = len(load.sent)
                drops, dropped = other.submit(_drop_months, database_url, phase_s).result()
                during = len(load.sent)
            accepted = load.outcomes()[202]
            wait_until(lambda: stored_load(engine) >= accepted, 120, "accepted events are stored")
        stored, distinct = stored_load(engine), distinct_load(engine)
        times = [each.took_s for each in load.sent]
        return Result(
            rows, medians, drops, dropped, (before - first) / phase_s, accepted,
            len(load.sent) - accepted, accepted - distinct, stored - distinct,
            p99(times[first:before]), p99(times[before:during]),
        )  # fmt: skip


def _pause_at_half_rate(service: Service, engine: Engine, api_key: str, seconds: float) -> float:
    """Saturate the service, forget what that has stored, and return the pause for half of the rate."""
    with Load(service.url, api_key, connections=_CONNECTIONS) as load:
        time.sleep(seconds)
    accepted = load.outcomes()[202]
    wait_until(lambda: stored_load(engine) >= accepted, 120, "accepted events are stored")
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM events WHERE type = 'load'"))
    median_s = statistics.median(each.took_s for each in load.sent)
    return max(2 * _CONNECTIONS * seconds / accepted - median_s / 2, 0.0)


def _drop_months(database_url: str, seconds: float, last: datetime | None = None) -> tuple[list[float], int]:
    """Drop the months up to a time, evenly in some seconds; return how long each took, and their rows."""
    last = last or datetime.now(UTC) - timedelta(days=60)
    engine = make_engine(database_url)
    ends = [each.end for each in layouts(engine)["events"].ranges if each.end and each.end < last]
    took, dropped, began = [], 0, time.monotonic()
    for number, end in enumerate(ends, 1):
        start = time.monotonic()
        dropped += sum(purge_events(engine, partial(_until, end)))
        took.append(time.monotonic() - start)
        time.sleep(max(began + seconds * number / len(ends) - time.monotonic(), 0))
    engine.dispose()
    return took, dropped


def _until(end: datetime, _project: str) -> datetime:
    return end


def _median(ask: Callable[[], object]) -> float:
    times = []
    for _ in range(_REPETITIONS):
        began = time.monotonic()
        ask()
        times.append(time.monotonic() - began)
    return statistics.median(times)


def main() -> int:
    """Measure, print and return 1 if an event was lost, doubled or refused."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.partitions", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="events of a year, 1000000 unless given")
    options = parser.parse_args()
    with Postgres(settings={"shared_buffers": "512MB", "max_wal_size": "4GB"}) as server:
        result = measure(server.new_database(), options.rows)
    for name, seconds in result.questions.items():
        print(f"{name}: {seconds * 1000:.1f} ms")
    slowest, median = max(result.drops) * 1000, statistics.median(result.drops) * 1000
    print(
        f"{result.dropped:,} of {result.rows:,} events dropped by month, each in {median:.0f} ms, the "
        f"slowest in {slowest:.0f} ms, at {result.rate:.0f} events per second\n"
        f"accepted {result.accepted:,}, lost {result.lost}, doubled {result.doubled}, "
        f"refused {result.refused}\n"
        f"p99 of the intake {result.p99_before_s * 1000:.1f} ms before, "
        f"{result.p99_during_s * 1000:.1f} ms meanwhile"
    )
    return 1 if result.lost or result.doubled or result.refused else 0


if __name__ == "__main__":
    sys.exit(main())
