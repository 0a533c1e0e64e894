"""Group commit against one round trip each, under each worker class, in alternating rounds.

``make bench-groups``, or ``python -m benchmarks.group_commit --help``.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.wrk import require_wrk, run_wrk, write_script
from tests.fixtures.servers.gunicorn import Service
from tests.fixtures.servers.valkey import Valkey

_APPS = {"group commit": "wsgi:app", "one round trip each": "benchmarks.one_round_trip_each:app"}
_ROOT = Path(__file__).parents[1]


def main() -> None:
    """Run the rounds and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each (default: 3)")
    parser.add_argument("--seconds", type=int, default=4, help="seconds of load a round (default: 4)")
    parser.add_argument("--connections", type=int, default=64, help="connections at once (default: 64)")
    parser.add_argument("--workers", type=int, default=2, help="worker processes (default: 2)")
    options = parser.parse_args()
    require_wrk()
    table = Table("worker class", "publisher", "req/s", "p50 ms", "p99 ms", box=None)
    for worker_class in ("gevent", "gthread", "sync"):
        for name, figures in _measure(worker_class, options).items():
            table.add_row(
                worker_class,
                name,
                *(f"{statistics.median(column):,.1f}" for column in zip(*figures, strict=True)),
            )
    Console(width=100).print(table)


Figures = tuple[float, float, float]


def _measure(worker_class: str, options: argparse.Namespace) -> dict[str, list[Figures]]:
    figures: dict[str, list[Figures]] = {name: [] for name in _APPS}
    with ExitStack() as stack:
        services = {
            name: stack.enter_context(_service(app, worker_class, options.workers))
            for name, app in _APPS.items()
        }
        for _ in range(options.rounds):
            for name, (service, script) in services.items():
                figures[name].append(_load(service.url, script, options))
    return figures


@contextmanager
def _service(app: str, worker_class: str, workers: int) -> Iterator[tuple[Service, Path]]:
    with tempfile.TemporaryDirectory() as folder, Valkey() as valkey:
        settings: dict[str, str | int] = {
            "VIGILRY_REDIS_URL": valkey.url,
            "VIGILRY_DATABASE_URL": f"sqlite:///{folder}/vigilry.db",
            "VIGILRY_STREAM_MAX_ENTRIES": 10**9,
        }
        with Service(settings, workers=workers, worker_class=worker_class, app=app) as service:
            _flask(service, "db", "upgrade")
            key = json.loads(_flask(service, "keys", "mint", "benchmark", "--json"))["api_key"]
            script = write_script(Path(folder), key)
            yield service, script


def _flask(service: Service, *words: str) -> str:
    command = [sys.executable, "-m", "flask", *words]
    return subprocess.run(
        command, cwd=_ROOT, env=service.env, check=True, capture_output=True, text=True
    ).stdout


def _load(url: str, script: Path, options: argparse.Namespace) -> Figures:
    load = run_wrk(f"{url}/ingest/events", script, connections=options.connections, seconds=options.seconds)
    return load.per_second, load.p50_ms, load.p99_ms


if __name__ == "__main__":
    main()
