"""``python -m benchmarks.drain``: compare the rates of one gunicorn worker and one stream worker.

Measures in one run how fast one gunicorn worker takes in events over HTTP, and how fast one ``flask worker``
stores a prefilled stream in SQLite and in PostgreSQL, which both wait for the disk at each commit.
"""

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from itertools import count, islice
from typing import Any, NamedTuple

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.ledger.machine import describe_machine
from benchmarks.ledger.projects import Projects, new_projects
from tests.fixtures.servers.gunicorn import ROOT, Service
from tests.fixtures.servers.postgres import Postgres
from tests.fixtures.servers.valkey import Valkey
from tests.fixtures.servers.worker import Worker
from vigilry_ingest.api.schemas import events

_STREAM = "vigilry:{0}:events"
_GROUP = "store"
# The promise: a backlog shrinks while events are taken in at the full rate.
_MIN_RATIO = 3.0
_CONNECTIONS = 64
# The tests' PostgreSQL disables these, but they matter here.
_DURABLE = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}
_EVENT = events.KIND.example
_WRK_SCRIPT = """wrk.method = "POST"
wrk.path = "/ingest/events"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["X-Api-Key"] = "{api_key}"
wrk.body = [==[{body}]==]
"""


class Rates(NamedTuple):
    """Events per second in one round."""

    intake: float
    sqlite: float
    postgresql: float


def main() -> int:
    """Measure, print a table, and return 1 when the worker is too slow."""
    options = _read_options()
    with new_projects(1) as projects:
        rounds = [_measure(projects, options.seconds, options.events) for _ in range(options.rounds)]
    median = Rates(*(statistics.median(each) for each in zip(*rounds, strict=True)))
    _print(rounds, median)
    return 0 if min(median.sqlite, median.postgresql) >= _MIN_RATIO * median.intake else 1


def _measure(projects: Projects, seconds: float, events: int) -> Rates:
    with Valkey() as valkey:
        settings = _settings(valkey, projects.database_url)
        with Service(settings, workers=1, worker_class="gevent") as service:
            intake = _intake(service, valkey, projects.api_keys[0], seconds)
        entry = valkey.ask("XRANGE", _STREAM, "-", "+", "COUNT", 1)[0][1]
        sqlite = _drain(valkey, _new_sqlite_url(projects), entry, events)
        with Postgres(settings=_DURABLE) as postgres:
            postgresql = _drain(valkey, postgres.new_database(), entry, events)
    return Rates(intake, sqlite, postgresql)


def _settings(valkey: Valkey, database_url: str) -> dict[str, str | int]:
    return {"VIGILRY_REDIS_URL": valkey.url, "VIGILRY_DATABASE_URL": database_url}


def _new_sqlite_url(projects: Projects) -> str:
    """Return the URL of a new file in the temporary folder of the API keys' database."""
    return projects.database_url.replace("vigilry.db", f"drained-{time.monotonic_ns()}.db")


def _intake(service: Service, valkey: Valkey, api_key: str, seconds: float) -> float:
    """Post events at the maximum rate of one gunicorn worker; return events per second."""
    wrk = shutil.which("wrk")
    send = _send_by_wrk if wrk else _send_by_threads
    # A warm-up of one second fills the key cache and loads the script.
    send(service, api_key, 1.0)
    before = int(valkey.ask("XLEN", _STREAM))
    took_s = send(service, api_key, seconds)
    return (int(valkey.ask("XLEN", _STREAM)) - before) / took_s


def _send_by_wrk(service: Service, api_key: str, seconds: float) -> float:
    script = service.folder / "wrk.lua"
    script.write_text(_WRK_SCRIPT.format(api_key=api_key, body=json.dumps(_EVENT)))
    command = ["wrk", "-t1", f"-c{_CONNECTIONS}", f"-d{seconds:g}s", "-s", str(script), service.url]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=seconds + 30)
    assert "Non-2xx" not in done.stdout, done.stdout
    took = re.search(r"requests in ([0-9.]+)s", done.stdout)
    assert took, done.stdout
    return float(took[1])


def _send_by_threads(service: Service, api_key: str, seconds: float) -> float:
    begun = time.monotonic()

    def send(_number: int) -> None:
        host, _, port = service.bind.rpartition(":")
        connection = HTTPConnection(host, int(port), timeout=10.0)
        headers = {"Content-Type": "application/json", "X-Api-Key": api_key}
        while time.monotonic() - begun < seconds:
            connection.request("POST", "/ingest/events", json.dumps(_EVENT), headers)
            response = connection.getresponse()
            assert response.status == 202, response.read()
            response.read()
        connection.close()

    with ThreadPoolExecutor(_CONNECTIONS) as pool:
        list(pool.map(send, range(_CONNECTIONS)))
    return time.monotonic() - begun


def _drain(valkey: Valkey, database_url: str, entry: dict[str, str], events: int) -> float:
    """Fill the stream with copies of an entry under new ids, and store them; return events per second."""
    _migrate(database_url)
    valkey.ask("DEL", _STREAM)
    _fill(valkey, entry, events)
    with Worker(_settings(valkey, database_url)) as worker:
        begun = time.monotonic()
        worker.ready_timeout_s = 300.0
        worker.wait_for(lambda: _is_done(valkey), "the stream is drained")
        took_s = time.monotonic() - begun
    assert int(valkey.ask("XLEN", "vigilry:{0}:dead")) == 0
    return events / took_s


def _migrate(database_url: str) -> None:
    env = os.environ | {"VIGILRY_DATABASE_URL": database_url}
    subprocess.run(
        [sys.executable, "-m", "flask", "db", "upgrade"], check=True, cwd=ROOT, env=env, timeout=60
    )


def _fill(valkey: Valkey, entry: dict[str, str], events: int) -> None:
    fields: Any = entry
    numbers = count()
    with valkey.client() as client:
        while some := list(islice(numbers, 1000)):
            pipeline = client.pipeline(transaction=False)
            for number in some[: events - some[0]]:
                pipeline.xadd(_STREAM, fields | {"id": f"evt_{time.time_ns():019}{number:07}"})
            pipeline.execute()
            if some[-1] + 1 >= events:
                return


def _is_done(valkey: Valkey) -> bool:
    """Return whether the group has acknowledged everything; the server may not know the group's lag."""
    last = valkey.ask("XINFO", "STREAM", _STREAM)["last-generated-id"]
    groups = {group["name"]: group for group in valkey.ask("XINFO", "GROUPS", _STREAM)}
    mine = groups.get(_GROUP, {})
    return (mine.get("last-delivered-id"), mine.get("pending")) == (last, 0)


def _print(rounds: list[Rates], median: Rates) -> None:
    console = Console(width=None if sys.stdout.isatty() else 120)
    table = Table("", "events/s, median", "all rounds", "times the intake", box=box.MARKDOWN)
    for column in table.columns[1:]:
        column.justify = "right"
    names = {
        "intake": "one gunicorn worker takes in",
        "sqlite": "one worker drains into SQLite",
        "postgresql": "one worker drains into PostgreSQL",
    }
    for field, name in names.items():
        rate = getattr(median, field)
        every = ", ".join(f"{getattr(each, field):,.0f}" for each in rounds)
        table.add_row(name, f"{rate:,.0f}", every, f"{rate / median.intake:.1f}")
    console.print(table)
    console.print(
        "Measured on " + ", ".join(f"{name} {value}" for name, value in describe_machine().items()) + "."
    )


def _read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.drain",
        description="Compare the rate at which a gunicorn worker takes in events with the rate at which a "
        f"stream worker stores them. Exit code 1 when the ratio is below {_MIN_RATIO:g}.",
    )
    parser.add_argument("--rounds", type=int, default=3, help="number of rounds (default: 3)")
    parser.add_argument("--seconds", type=float, default=5.0, help="seconds of intake per round (default: 5)")
    parser.add_argument(
        "--events", type=int, default=30_000, help="events to drain per round (default: 30000)"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
