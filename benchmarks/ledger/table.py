"""The ledger on paper: a table for people, which is Markdown too, and JSON for programs."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from math import isinf
from typing import NamedTuple

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmarks.ledger.account import Account
from benchmarks.ledger.promises import MOST_RECOVERY_S, MOST_SLOW_MS
from benchmarks.ledger.stage import PUBLISH_TIMEOUT_MS, Scenario

_COLUMNS = (
    "fault",
    "durability",
    "sent",
    "acknowledged",
    "missing",
    "duplicates",
    "refused",
    "unanswered",
    "slowest answer, ms",
    "recovery, s",
)
_LEGEND = f"""\
Sent, acknowledged (202), missing and duplicates count events, each with an id of its own; refused (503) and
unanswered count requests. Missing: acknowledged, and the entry that the jobId names is not of that event.
Slowest answer: over all requests, whatever the answer; at most {MOST_SLOW_MS}, as VIGILRY_PUBLISH_TIMEOUT_MS
is {PUBLISH_TIMEOUT_MS}. Recovery: from the moment the broker answers again (failover: a primary, a replica;
killed workers: as many as before) until every sender, each on a connection to one worker, has had a 202;
the longest of them and of all repetitions; at most {MOST_RECOVERY_S:g}. A control shows that the ledger
finds what it looks for. Killed is kill -9."""


class Row(NamedTuple):
    """A scenario, its account, and the promises that it shows to be broken."""

    scenario: Scenario
    account: Account
    broken: list[str]


def print_table(console: Console, rows: Sequence[Row], machine: dict[str, str | int]) -> None:
    """Print the table, the machine, and each broken promise."""
    table = Table(*_COLUMNS, box=box.MARKDOWN)
    for column in table.columns[2:]:
        column.justify = "right"
    for row in rows:
        table.add_row(*_cells(row), style="red" if row.broken else "")
    console.print(table)
    console.print(_LEGEND, highlight=False, soft_wrap=True)
    console.print("\nMeasured on " + ", ".join(f"{name} {value}" for name, value in machine.items()) + ".")
    for row in rows:
        for text in row.broken:
            console.print(Text(f"BROKEN  {row.scenario.name}: {text}", style="bold red"))


def as_json(rows: Sequence[Row], machine: dict[str, str | int]) -> str:
    """Write the same as JSON; a recovery that never came is null."""
    lines = [
        {
            "name": row.scenario.name,
            "fault": row.scenario.fault,
            "durability": row.scenario.durability,
            "is_control": row.scenario.loses or row.scenario.doubles,
            **asdict(row.account),
            "recovery_s": None if isinf(row.account.recovery_s) else row.account.recovery_s,
            "broken": row.broken,
        }
        for row in rows
    ]
    return json.dumps({"machine": machine, "rows": lines}, indent=2)


def _cells(row: Row) -> list[str]:
    account = row.account
    return [
        row.scenario.fault,
        row.scenario.durability,
        f"{account.sent:,}",
        f"{account.acknowledged:,}",
        f"{account.missing:,}",
        f"{account.duplicates:,}",
        f"{sum(account.refused.values()):,}",
        f"{account.unanswered:,}",
        f"{account.slowest_ms:,.0f}",
        "never" if isinf(account.recovery_s) else f"{account.recovery_s:.1f}",
    ]
