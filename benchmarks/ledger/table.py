"""The ledger's output: a Markdown table, or JSON."""

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
from benchmarks.ledger.promises import MAX_RECOVERY_S, MAX_RESPONSE_MS
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
Sent, acknowledged (202), missing and duplicates count events, each with a unique id; refused (503) and
unanswered count requests. Missing: acknowledged, but the entry of the jobId is not of that event. Slowest
answer: the maximum over all requests, limited to {MAX_RESPONSE_MS} ms with a VIGILRY_PUBLISH_TIMEOUT_MS of
{PUBLISH_TIMEOUT_MS}. Recovery: from when the broker responds again (failover: a primary and a replica; killed
workers: all of them running) until every sender, each on a connection to one worker, has received a 202; the
maximum over all senders and repetitions, limited to {MAX_RECOVERY_S:g} s. Controls show that the ledger
detects losses and duplicates. Killed means kill -9."""


class Row(NamedTuple):
    """A scenario, its account, and a sentence for each broken promise."""

    scenario: Scenario
    account: Account
    broken: list[str]


def print_table(console: Console, rows: Sequence[Row], machine: dict[str, str | int]) -> None:
    """Print the table, the machine, and the broken promises."""
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
    """Return the same as JSON; the recovery is null when there was none."""
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
