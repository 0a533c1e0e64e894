"""``flask audit``: list and verify the audit log."""

import json
from datetime import datetime
from typing import Any

import click

from vigilry_ingest.administration.records import AuditRecord, to_object
from vigilry_ingest.cli.administration import PAGE, administration, server_option
from vigilry_ingest.cli.base import Group
from vigilry_ingest.cli.event_format import printable
from vigilry_ingest.cli.output import failures_in_one_line, json_option, minute, print_json, print_list
from vigilry_ingest.cli.time_options import Time
from vigilry_ingest.storage.audit_queries import AuditFilter

_MAX_SHOWN_LENGTH = 200
_NONE = "none"
_SHOWN_ELSEWHERE = ("id", "created_at")

audit_group = Group("audit", help="Show who changed what.")


@audit_group.command("list")
@click.option("--project", help="Only changes of this project, given by name or id.")
@click.option("--action", help="Only this action, such as key.mint.")
@click.option("--actor", help="Only changes by this name.")
@click.option(
    "--since", type=Time(is_relative=True), metavar="TIME|DURATION",
    help="Only changes at this time or later, such as 2026-01-31, or within the last 15m, 2h or 7d.",
)  # fmt: skip
@click.option(
    "--until", type=Time(is_relative=True), metavar="TIME|DURATION", help="Only changes before this time."
)
@click.option(
    "-n", "--limit", type=click.IntRange(1, 100_000), default=50, show_default=True,
    help="Maximum number of changes.",
)  # fmt: skip
@server_option
@json_option
@failures_in_one_line
def list_command(
    project: str | None, action: str | None, actor: str | None, since: datetime | None,
    until: datetime | None, limit: int, as_json: bool,
) -> None:  # fmt: skip
    """List changes, newest first."""
    wanted = AuditFilter(project, action, actor, since, until)
    print_list(
        _newest(wanted, limit),
        as_json=as_json,
        to_object=to_object,
        columns=("ID", "TIME", "ACTOR", "ACTION", "TARGET", "CHANGE"),
        to_cells=_cells,
        if_none="There are no matching changes.",
    )


@audit_group.command("verify")
@click.option(
    "--expect-head", metavar="DIGEST",
    help="A digest that this command printed before; a row with it must still exist.",
)  # fmt: skip
@server_option
@json_option
@click.pass_context
@failures_in_one_line
def verify_command(context: click.Context, expect_head: str | None, as_json: bool) -> None:
    """Check that no change was altered or removed.

    Prints the newest digest: keep it elsewhere for --expect-head, without which missing newest rows cannot be
    found. The exit code is 1 if a row was altered or is missing.
    """
    expected = None if expect_head is None else expect_head.strip().lower()
    found = administration().audit.verify(expected)
    if as_json:
        print_json(to_object(found))
    else:
        for fault in found.faults:
            click.echo(click.style(fault, fg="red"))
        verdict = ", all as they were recorded" if found.ok else ""
        click.echo(f"{found.rows:,} rows{verdict}. Newest digest:\n{found.head}")
    if not found.ok:
        context.exit(1)


def _newest(wanted: AuditFilter, limit: int) -> list[AuditRecord]:
    audit = administration().audit
    found: list[AuditRecord] = []
    while len(found) < limit:
        page = audit.page(wanted, found[-1].id if found else None, min(limit - len(found), PAGE))
        found += page.items
        if page.next is None:
            break
    return found


def _cells(entry: AuditRecord) -> tuple[str, ...]:
    return (
        str(entry.id), minute(entry.at), printable(entry.actor), entry.action, printable(entry.target_id),
        printable(_change(entry.before or {}, entry.after or {}), _MAX_SHOWN_LENGTH),
    )  # fmt: skip


def _change(before: dict[str, Any], after: dict[str, Any]) -> str:
    texts = []
    for name in dict.fromkeys((*before, *after)):
        values = [_text(state[name]) for state in (before, after) if name in state]
        if name not in _SHOWN_ELSEWHERE and set(values) != {_NONE}:
            texts.append(f"{name}: {' → '.join(values)}")
    return ", ".join(texts)


def _text(value: Any) -> str:
    if value is None:
        return _NONE
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
