"""``python -m benchmarks.conversion``: partition a table on PostgreSQL under load, in spite of kills."""

import argparse
import random
import sys
import time
from contextlib import ExitStack
from typing import NamedTuple

from sqlalchemy import Engine, text

from benchmarks.retention import distinct_load, p99, running_worker, stored_load
from benchmarks.year import insert_year
from tests.fixtures.databases import migrate
from tests.fixtures.flask_commands import Running
from tests.fixtures.load import Load
from tests.fixtures.partitions import make_plain, partitions_of
from tests.fixtures.servers.gunicorn import Service
from tests.fixtures.servers.postgres import Postgres
from tests.fixtures.servers.valkey import Valkey
from tests.fixtures.servers.waiting import wait_until
from vigilry_ingest.api_keys.registry import mint
from vigilry_ingest.storage.engine import make_engine

_MAX_S = 3600.0


class Result(NamedTuple):
    """What was measured; ``lost`` and ``doubled`` count events of both kinds, times are in seconds."""

    rows: int
    kills: int
    took_s: float
    accepted: int
    refused: int
    lost: int
    doubled: int
    p99_before_s: float
    p99_during_s: float


def measure(database_url: str, rows: int, *, kills: int = 10, max_kill_s: float = 5.0) -> Result:
    """Partition a table of many rows while events are stored; kill the command some times at first."""
    migrate(database_url)
    with ExitStack() as stack:
        engine = make_engine(database_url)
        stack.callback(engine.dispose)
        make_plain(engine)
        insert_year(engine, rows)
        key = mint(engine, "shop", "production")
        valkey = stack.enter_context(Valkey(appendonly=False))
        settings: dict[str, str | int] = {
            "VIGILRY_REDIS_URL": valkey.url,
            "VIGILRY_DATABASE_URL": database_url,
        }
        service = stack.enter_context(Service(settings, workers=1, worker_class="gevent"))
        with running_worker(settings):
            with Load(service.url, key.api_key, connections=4, pause_s=0.01) as load:
                time.sleep(max_kill_s)
                before = len(load.sent)
                began = time.monotonic()
                for _ in range(kills):
                    # Its end is a kill.
                    with Running("db", "partition", DATABASE_URL=database_url):
                        time.sleep(random.uniform(0.2, max_kill_s))  # noqa: S311  no secret
                wait_until(lambda: _partition(database_url), _MAX_S, "the table is partitioned")
                took_s = time.monotonic() - began
                time.sleep(1)
            accepted = load.outcomes()[202]
            wait_until(lambda: stored_load(engine) >= accepted, 120, "accepted events are stored")
        assert len(partitions_of(engine)) > 1
        old = _old(engine)
        stored, distinct = stored_load(engine), distinct_load(engine)
        times = [each.took_s for each in load.sent]
        return Result(
            rows, kills, took_s, accepted, len(load.sent) - accepted,
            accepted - distinct + max(rows - old, 0), stored - distinct + max(old - rows, 0),
            p99(times[:before]), p99(times[before:]),
        )  # fmt: skip


def _partition(database_url: str) -> bool:
    """Run the command to its end; it fails while the server has not noticed that the last one was killed."""
    with Running("db", "partition", DATABASE_URL=database_url) as running:
        code, _, errors = running.wait(_MAX_S)
    assert code == 0 or "another process" in errors, errors
    return code == 0


def _old(engine: Engine) -> int:
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        return connection.scalar(text("SELECT count(DISTINCT id) FROM events WHERE type <> 'load'")) or 0


def main() -> int:
    """Measure, print and return 1 if an event was lost, doubled or refused."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.conversion", description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000, help="stored events, 2000000 unless given")
    parser.add_argument("--kills", type=int, default=10, help="how often it is killed, 10 unless given")
    options = parser.parse_args()
    with Postgres(settings={"shared_buffers": "512MB", "max_wal_size": "4GB"}) as server:
        result = measure(server.new_database(), options.rows, kills=options.kills)
    print(
        f"{result.rows:,} events partitioned in {result.took_s:.1f} s, killed {result.kills} times, while "
        f"{result.accepted:,} were taken in\n"
        f"lost {result.lost}, doubled {result.doubled}, refused {result.refused}\n"
        f"p99 of the intake {result.p99_before_s * 1000:.1f} ms before, "
        f"{result.p99_during_s * 1000:.1f} ms meanwhile"
    )
    return 1 if result.lost or result.doubled or result.refused else 0


if __name__ == "__main__":
    sys.exit(main())
