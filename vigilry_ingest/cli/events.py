"""``flask events``: looking at events, on the streams and in the store."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import click
from flask.cli import AppGroup

from vigilry_ingest.cli.dead import dead_group
from vigilry_ingest.cli.looks import json_of, line_of, page_of
from vigilry_ingest.cli.people import (
    broker_client,
    failures_in_one_line,
    json_option,
    print_json,
    print_table,
    progress,
)
from vigilry_ingest.event import Event
from vigilry_ingest.keys.registry import project_id_of
from vigilry_ingest.schemas.fields import SEVERITIES
from vigilry_ingest.services import services
from vigilry_ingest.store.finder import (
    Filter,
    count_events,
    find_event,
    newest_events,
    oldest_first,
    to_event,
)
from vigilry_ingest.stream.names import job_number_of
from vigilry_ingest.stream.reader import Reader, entries_of_job
from vigilry_ingest.stream.replay import replay
from vigilry_ingest.stream.retention import GroupState, forget_group, partition_state

_KINDS = ("event", "server_error", "webhook", "stripe")


def _pairs(_context: click.Context, _option: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    for each in given:
        if "=" not in each:
            raise click.BadParameter(f"{each} is not NAME=VALUE.")
    return dict(each.split("=", 1) for each in given)


# 128 and the signal's number, as shells have it.
_INTERRUPTED = 130
_MOMENT = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"])

events_group = AppGroup("events", help="Events, on the streams and in the store.")
events_group.add_command(dead_group)


def filter_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that narrow events down."""
    for option in (
        click.option("--type", "type_", help="Only events of this type."),
        click.option("--kind", type=click.Choice(_KINDS), help="Only events that came by this endpoint."),
        click.option("--severity", type=click.Choice(SEVERITIES), help="Only events of this severity."),
        click.option("--project", help="Only this project's events, by its name or id."),
    ):
        command = option(command)
    return command


def time_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of a time range, in UTC."""
    command = click.option("--to", "until", type=_MOMENT, help="Received before this moment, in UTC.")(
        command
    )
    return click.option("--from", "since", type=_MOMENT, help="Received at this moment or later, in UTC.")(
        command
    )


@events_group.command("tail")
@click.option(
    "-n", "--last", type=click.IntRange(0, 10_000), default=10, show_default=True,
    help="How many of the newest events to look at first.",
)  # fmt: skip
@filter_options
@json_option
@failures_in_one_line
def tail_command(
    last: int, as_json: bool, project: str | None, severity: str | None, kind: str | None, type_: str | None
) -> None:
    """Follow the streams live.

    Shows the newest events, then each new one as it comes, until Ctrl-C.
    """
    config = services().config
    reader = Reader(
        config.redis_url, partitions=config.stream_partitions, timeout_s=config.publish_timeout_ms / 1000
    )
    project_id = project and project_id_of(services().engine, project)
    wanted = {"project_id": project_id, "severity": severity, "kind": kind, "type": type_}
    try:
        for job_id, event in reader.follow(last):
            if all(value in (None, getattr(event, name)) for name, value in wanted.items()):
                click.echo(json_of(job_id, event) if as_json else line_of(job_id, event))
    except KeyboardInterrupt:
        # The way to end it, and no failure to speak of.
        raise SystemExit(_INTERRUPTED) from None


@events_group.command("list")
@filter_options
@time_options
@click.option(
    "--correlation", metavar="NAME=VALUE", multiple=True, callback=_pairs,
    help="Only events with this in their correlation; may be repeated.",
)  # fmt: skip
@click.option(
    "-n", "--most", type=click.IntRange(1, 100_000), default=50, show_default=True, help="How many to list."
)
@json_option
@failures_in_one_line
def list_command(
    most: int, as_json: bool, type_: str | None, since: datetime | None, until: datetime | None, **wanted: Any
) -> None:
    """List stored events, newest first."""
    chosen = Filter(type=type_, since=_utc(since), until=_utc(until), **wanted)
    rows = newest_events(services().engine, chosen, most)
    for row in rows:
        job_id, event = f"bull-{row.job_number}", to_event(row)
        click.echo(json_of(job_id, event) if as_json else line_of(job_id, event))
    if not rows and not as_json:
        click.echo("No stored event fits.")


@events_group.command("show")
@click.argument("id_", metavar="JOB_ID|EVENT_ID")
@json_option
@failures_in_one_line
def show_command(id_: str, as_json: bool) -> None:
    """Show one event, wherever it is."""
    number = job_number_of(id_)
    rows = find_event(services().engine, event_id=None if number is not None else id_, job_number=number)
    found: list[tuple[str, Event, str | None]] = [
        (f"bull-{row.job_number}", to_event(row), _moment(row.processed_at)) for row in rows
    ]
    if not found and number is not None:
        with broker_client() as client:
            partitions = services().config.stream_partitions
            found = [(id_, event, None) for event in entries_of_job(client, id_, partitions)]
    if not found:
        raise click.ClickException(f"No event has the id {id_}: it is neither stored nor on a stream.")
    for job_id, event, processed_at in found:
        if as_json:
            click.echo(json_of(job_id, event, {"processed_at": processed_at} if processed_at else None))
        else:
            click.echo(page_of(job_id, event, processed_at))


@events_group.command("stats")
@json_option
@failures_in_one_line
def stats_command(as_json: bool) -> None:
    """Tell how far each group has come.

    By partition and group: how much is waiting, for how long, and what keeps a stream from being trimmed.
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
    print_table("", columns, rows)
    for name in sorted({group.name for state in states for group in state.groups if group.is_abandoned}):
        click.echo(
            f"The group {name} has had no worker for over an hour and keeps the streams from being trimmed: "
            f"start a worker with --group {name}, or remove it with `flask events forget-group {name}`."
        )


@events_group.command("forget-group")
@click.argument("group")
@click.confirmation_option(prompt="What the group has not processed will never reach it. Remove it?")
@failures_in_one_line
def forget_group_command(group: str) -> None:
    """Remove a consumer group.

    For one that nobody uses any more and that keeps the streams from being trimmed.
    """
    with broker_client() as client:
        removed = sum(
            forget_group(client, each, group) for each in range(services().config.stream_partitions)
        )
    if not removed:
        raise click.ClickException(f"No stream has a group {group}: see `flask events stats`.")
    click.echo(f"Removed {group} from {removed} streams.")


@events_group.command("replay")
@click.option("--group", required=True, help="The consumer group to feed again; no other group sees it.")
@filter_options
@time_options
@json_option
@failures_in_one_line
def replay_command(
    group: str,
    as_json: bool,
    type_: str | None,
    since: datetime | None,
    until: datetime | None,
    **wanted: Any,
) -> None:
    """Feed stored events to a group again."""
    parts = services()
    chosen = Filter(type=type_, since=_utc(since), until=_utc(until), **wanted)
    rows = oldest_first(parts.engine, chosen)
    pairs = ((f"bull-{row.job_number}", to_event(row)) for row in rows)
    count = 0
    with broker_client() as client, progress("Replaying", count_events(parts.engine, chosen)) as step:
        for done in replay(
            client, pairs, group=group, partitions=parts.config.stream_partitions,
            most_entries=parts.config.stream_max_entries,
        ):  # fmt: skip
            count += done
            step(done)
    if as_json:
        print_json({"group": group, "replayed": count})
    else:
        click.echo(f"Replayed {count:,} events to {group}.")


def _group_cells(group: GroupState) -> tuple[str, ...]:
    oldest = f"{group.oldest_s:,.0f} s" if group.oldest_s else ""
    return group.name, f"{group.lag:,}", f"{group.pending:,}", oldest, group.worker or "none"


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=UTC)


def _moment(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")[:-6] + "Z"
