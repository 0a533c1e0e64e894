"""``make ledger``: break the broker and the workers under load, and count lost and duplicate events."""

import argparse
import signal
import sys
from collections.abc import Iterator

from rich.console import Console

from benchmarks.ledger.machine import describe_machine
from benchmarks.ledger.projects import new_projects
from benchmarks.ledger.promises import broken_promises
from benchmarks.ledger.scenarios import SCENARIOS
from benchmarks.ledger.stage import Scenario, play
from benchmarks.ledger.table import Row, as_json, print_table

# Enough to be distributed over all primaries of a cluster.
_PROJECTS = 6
# Wide enough for the table when the output is not a terminal.
_FILE_WIDTH = 200


def main() -> int:
    """Run the chosen scenarios; return 1 when a promise is broken."""
    options = _read_options()
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, _end)
    chosen = [scenario for scenario in SCENARIOS if not options.only or scenario.name in options.only]
    machine = describe_machine()
    try:
        rows = list(_play_all(chosen, options))
    except KeyboardInterrupt:
        print("interrupted; all servers are stopped", file=sys.stderr)
        return 130
    if options.json:
        print(as_json(rows, machine))
    else:
        is_terminal = sys.stdout.isatty()
        print_table(Console(width=None if is_terminal else _FILE_WIDTH), rows, machine)
    return 1 if any(row.broken for row in rows) else 0


def _play_all(chosen: list[Scenario], options: argparse.Namespace) -> Iterator[Row]:
    progress = Console(stderr=True)
    with progress.status("creating projects") as status, new_projects(_PROJECTS) as projects:
        for number, scenario in enumerate(chosen, 1):
            status.update(f"{number} of {len(chosen)}: {scenario.fault} ({scenario.durability})")
            account = play(scenario, projects, is_short=options.short, worker_class=options.worker_class)
            yield Row(scenario, account, broken_promises(scenario, account))


def _read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.ledger",
        description="Run the service under load, break its broker and its workers, and compare the "
        "acknowledged events with the streams. Exit code 1 when a promise is broken.",
    )
    names = [scenario.name for scenario in SCENARIOS]
    parser.add_argument("--short", action="store_true", help="run each scenario for a few seconds only")
    parser.add_argument(
        "--only",
        action="append",
        choices=names,
        metavar="NAME",
        help=f"one of {', '.join(names)}; repeatable",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument(
        "--worker-class",
        choices=("gevent", "gthread", "sync"),
        default="gevent",
        help="gunicorn's worker class",
    )
    return parser.parse_args()


def _end(number: int, _frame: object) -> None:
    # Ignore further signals: an interrupted clean-up would leave servers running.
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt(number)


if __name__ == "__main__":
    sys.exit(main())
