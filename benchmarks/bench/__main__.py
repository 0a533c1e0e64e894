"""Command line of ``make bench``."""

import argparse
import json
import os
import platform
import sys
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.bench.rounds import Plan
from benchmarks.bench.sections import QUICK, SECTIONS, Outcome
from benchmarks.wrk import require_wrk


def main() -> int:
    """Measure, print the tables and the criteria; return 1 when a criterion is not met."""
    options = _options()
    require_wrk()
    progress = Console(stderr=True)
    with progress.status("") as status:
        plan = Plan(
            options.rounds or (2 if options.quick else 3),
            options.seconds or (2 if options.quick else 4),
            options.connections,
            options.workers,
            status.update,
            is_quick=options.quick,
        )
        outcomes = []
        for name in options.only or (QUICK if options.quick else SECTIONS):
            outcomes.append(SECTIONS[name](plan))
            if not options.json:
                # Immediately, so that a failure in a later section does not lose it.
                _print(outcomes[-1])
    if options.json:
        print(json.dumps({"machine": _machine(), "sections": [_plain(each) for each in outcomes]}))
    else:
        _print_criteria(outcomes)
    return 0 if all(each.holds for outcome in outcomes for each in outcome.criteria) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description="Compare this service with alternatives.")
    parser.add_argument(
        "--only",
        type=_sections,
        metavar="SECTION,…",
        help=f"sections to run, of {', '.join(SECTIONS)} (default: all)",
    )
    parser.add_argument(
        "--quick", action="store_true", help="two minutes: the peers and batches, directly, in short rounds"
    )
    parser.add_argument("--rounds", type=int, help="measured rounds (default: 3)")
    parser.add_argument("--seconds", type=float, help="seconds of load per round (default: 4)")
    parser.add_argument("--connections", type=int, default=32, help="concurrent connections (default: 32)")
    parser.add_argument(
        "--workers", type=int, default=2, help="worker processes of each candidate (default: 2)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    return parser.parse_args()


def _sections(text: str) -> list[str]:
    names = text.split(",")
    unknown = [name for name in names if name not in SECTIONS]
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(SECTIONS)}")
    return names


def _machine() -> str:
    system = f"{os.cpu_count()} cores, {platform.system()} {platform.release()}"
    return f"{system}, Python {platform.python_version()}"


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else 140)


def _print(outcome: Outcome) -> None:
    console = _console()
    if outcome.rows:
        table = Table("", "requests/s", "p50 ms", "p99 ms", "server µs", "broker µs", "", box=None)
        table.title = outcome.title
        for row in outcome.rows:
            first, *others = row.figures
            cells = [f"{first:,.0f}", *(f"{each:,.1f}" for each in others)]
            table.add_row(row.name, *cells, row.note)
        console.print(table)
    for sentence in outcome.skipped:
        console.print(f"skipped: {sentence}", style="yellow")


def _print_criteria(outcomes: list[Outcome]) -> None:
    console = _console()
    console.print(f"\n{_machine()}; CPU in µs per request, as accounted by the operating system")
    for outcome in outcomes:
        for criterion in outcome.criteria:
            console.print(criterion.line(), style="green" if criterion.holds else "red", highlight=False)


def _plain(outcome: Outcome) -> dict[str, Any]:
    return {
        "title": outcome.title,
        "rows": [{"name": row.name, **row.figures._asdict(), "note": row.note} for row in outcome.rows],
        "criteria": [each._asdict() | {"holds": each.holds} for each in outcome.criteria],
        "skipped": outcome.skipped,
    }


if __name__ == "__main__":
    sys.exit(main())
