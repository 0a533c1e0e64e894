"""``python -m benchmarks.retention``: purge old events while others are taken in and stored."""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Engine, func, insert, select

from tests.fixtures.databases import migrate
from tests.fixtures.load import Load
from tests.fixtures.servers.gunicorn import Service
from tests.fixtures.servers.postgres import Postgres
from tests.fixtures.servers.valkey import Valkey
from tests.fixtures.servers.waiting import wait_until
from tests.fixtures.servers.worker import Worker
from vigilry_ingest.api_keys.registry import mint
from vigilry_ingest.domain.ids import new_id
from vigilry_ingest.storage.engine import make_engine, session_on
from vigilry_ingest.storage.models import EventCorrelation, StoredEvent

_DAYS = 365
_ROWS_AT_ONCE = 5000
_MAX_PURGE_S = 3600.0


class Result(NamedTuple):
    """What was measured; ``lost`` and ``doubled`` count accepted events, times are in seconds."""

    rows: int
    purge_s: float
    accepted: int
    refused: int
    lost: int
    doubled: int
    p99_before_s: float
    p99_during_s: float
    bytes_before: int
    bytes_after: int


def measure(database_url: str, rows: int, *, before_s: float = 5.0, pause_s: float = 0.01) -> Result:
    """Store old events, then take in new ones, first without and then with a worker that purges."""
    migrate(database_url)
    with ExitStack() as stack:
        engine = make_engine(database_url)
        stack.callback(engine.dispose)
        key = mint(engine, "shop", "production")
        insert_old_events(engine, key.project_id, rows)
        size = _size_of(engine)
        valkey = stack.enter_context(Valkey(appendonly=False))
        settings: dict[str, str | int] = {
            "VIGILRY_REDIS_URL": valkey.url,
            "VIGILRY_DATABASE_URL": database_url,
        }
        service = stack.enter_context(Service(settings, workers=1, worker_class="gevent"))
        with Load(service.url, key.api_key, connections=4, pause_s=pause_s) as load:
            with running_worker(settings):
                time.sleep(before_s)
            count_before = len(load.sent)
            began = time.monotonic()
            with running_worker(settings | {"VIGILRY_RETENTION_DAYS": _DAYS // 2}) as worker:
                wait_until(lambda: "purged" in worker.log_text(), _MAX_PURGE_S, "old events are purged")
                purge_s = time.monotonic() - began
                count_during = len(load.sent)
        accepted = load.outcomes()[202]
        with running_worker(settings):
            wait_until(lambda: stored_load(engine) >= accepted, 60, "accepted events are stored")
        stored, distinct = stored_load(engine), distinct_load(engine)
        times = [each.took_s for each in load.sent]
        return Result(
            rows, purge_s, accepted, len(load.sent) - accepted, accepted - distinct, stored - distinct,
            p99(times[:count_before]), p99(times[count_before:count_during]), size, _size_of(engine),
        )  # fmt: skip


def insert_old_events(engine: Engine, project_id: str, rows: int) -> None:
    """Insert events of the year before last, each with a correlation."""
    start = datetime.now(UTC) - timedelta(days=2 * _DAYS)
    for first in range(0, rows, _ROWS_AT_ONCE):
        numbers = range(first, min(first + _ROWS_AT_ONCE, rows))
        ids = {number: new_id("evt") for number in numbers}
        with session_on(engine) as session:
            session.execute(
                insert(StoredEvent),
                [
                    {
                        "id": ids[number], "job_number": number, "project_id": project_id,
                        "environment": "production", "kind": "event", "type": "old", "severity": "INFO",
                        "message": f"old {number}", "payload": '{"gateway":"stripe","attempt":2}',
                        "received_at": start + timedelta(days=_DAYS * number / rows),
                        "processed_at": start, "request_id": "r",
                    }
                    for number in numbers
                ],
            )  # fmt: skip
            session.execute(
                insert(EventCorrelation),
                [
                    {"event_id": ids[number], "name": "order", "project_id": project_id, "value": str(number)}
                    for number in numbers
                ],
            )


@contextmanager
def running_worker(settings: dict[str, str | int]) -> Iterator[Worker]:
    """Run a worker during the block."""
    worker = Worker(settings)
    worker.start()
    try:
        yield worker
    finally:
        worker.terminate()


def stored_load(engine: Engine) -> int:
    """Return how many events of the load are stored."""
    with session_on(engine) as session:
        return session.scalar(select(func.count()).where(StoredEvent.type == "load")) or 0


def distinct_load(engine: Engine) -> int:
    """Return how many different events of the load are stored."""
    query = select(func.count(StoredEvent.message.distinct())).where(StoredEvent.type == "load")
    with session_on(engine) as session:
        return session.scalar(query) or 0


def _size_of(engine: Engine) -> int:
    if engine.dialect.name == "sqlite":
        path = Path(str(engine.url.database))
        return sum(each.stat().st_size for each in path.parent.glob(f"{path.name}*"))
    with engine.connect() as connection:
        return int(connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar() or 0)


def p99(times: list[float]) -> float:
    """Return the 99th percentile."""
    return statistics.quantiles(times, n=100)[98]


def main() -> int:
    """Measure, print and return 1 if an event was lost, doubled or refused."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.retention", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="old events, 1000000 unless given")
    parser.add_argument("--postgresql", action="store_true", help="on PostgreSQL instead of SQLite")
    options = parser.parse_args()
    with ExitStack() as stack:
        if options.postgresql:
            url = stack.enter_context(Postgres()).new_database()
        else:
            url = f"sqlite:///{stack.enter_context(tempfile.TemporaryDirectory())}/vigilry.db"
        result = measure(url, options.rows)
    print(
        f"{result.rows:,} events purged in {result.purge_s:.1f} s while {result.accepted:,} were taken in\n"
        f"lost {result.lost}, doubled {result.doubled}, refused {result.refused}\n"
        f"p99 of the intake {result.p99_before_s * 1000:.1f} ms before, "
        f"{result.p99_during_s * 1000:.1f} ms meanwhile\n"
        f"{result.bytes_before:,} bytes before, {result.bytes_after:,} after"
    )
    return 1 if result.lost or result.doubled or result.refused else 0


if __name__ == "__main__":
    sys.exit(main())
