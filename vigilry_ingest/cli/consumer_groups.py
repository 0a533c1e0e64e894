"""``flask events stats`` and ``forget-group``: progress and removal of consumer groups."""

import click
from flask.cli import with_appcontext

from vigilry_ingest.cli.base import Command
from vigilry_ingest.cli.event_format import printable
from vigilry_ingest.cli.output import (
    broker_client,
    failures_in_one_line,
    json_option,
    print_json,
    print_table,
)
from vigilry_ingest.cli.recording import records
from vigilry_ingest.services import services
from vigilry_ingest.storage.audit_log import Change, record
from vigilry_ingest.stream.consuming.retention import (
    GroupState,
    forget_group,
    has_group,
    partition_state,
)


@click.command("stats", cls=Command)
@json_option
@with_appcontext
@failures_in_one_line
def stats_command(as_json: bool) -> None:
    """Show the progress of each consumer group.

    For each partition and group: unprocessed events, the age of the oldest, and the last worker. Names groups
    that look abandoned and prevent trimming.
    """
    with broker_client() as client:
        states = [partition_state(client, each) for each in range(services().config.stream_partitions)]
    if as_json:
        for state in states:
            print_json(state._asdict() | {"groups": [group._asdict() for group in state.groups]})
        return
    rows = []
    for state in states:
        first = (str(state.partition), f"{state.length:,}", f"{state.dead:,}")
        for group in state.groups:
            rows.append((*first, *_group_cells(group)))
            first = ("", "", "")
        if not state.groups:
            rows.append((*first, "none", "", "", "", ""))
    columns = ("PARTITION", "ENTRIES", "DEAD", "GROUP", "LAG", "PENDING", "OLDEST", "WORKER")
    print_table(columns, rows)
    for name in sorted({group.name for state in states for group in state.groups if group.is_abandoned}):
        click.echo(
            f"The group {name} has had no worker for over an hour and prevents the streams from being "
            f"trimmed: start a worker with --group {name}, or remove it with "
            f"`flask events forget-group {name}`."
        )


@click.command("forget-group", cls=Command)
@click.argument("group")
@click.confirmation_option(prompt="The group will never receive its unprocessed events. Remove it?")
@json_option
@with_appcontext
@records("group.forget")
@failures_in_one_line
def forget_group_command(group: str, as_json: bool) -> None:
    """Remove a consumer group.

    A group that is no longer used prevents the streams from being trimmed.
    """
    partitions = range(services().config.stream_partitions)
    with broker_client() as client:
        if not any(has_group(client, each, group) for each in partitions):
            raise click.ClickException(f"No stream has a group {group}: see `flask events stats`.")
        record(services().engine, Change("group.forget", group))
        removed = sum(forget_group(client, each, group) for each in partitions)
    if as_json:
        print_json({"group": group, "streams": removed})
    else:
        click.echo(f"Removed {group} from {removed} streams.")


def _group_cells(group: GroupState) -> tuple[str, ...]:
    oldest = f"{group.oldest_s:,.0f} s" if group.oldest_s else ""
    return printable(group.name), f"{group.lag:,}", f"{group.pending:,}", oldest, group.worker or "none"
