"""``flask events``: tail, list, show and replay events."""

from typing import Any

import click

from vigilry_ingest.api_keys.projects import project_id_of
from vigilry_ingest.cli.base import Group
from vigilry_ingest.cli.consumer_groups import forget_group_command, stats_command
from vigilry_ingest.cli.dead_letters import dead_group
from vigilry_ingest.cli.event_erasure import erase_command
from vigilry_ingest.cli.event_format import json_of, line_of, page_of
from vigilry_ingest.cli.event_groups import groups_command, regroup_command
from vigilry_ingest.cli.event_purge import purge_command
from vigilry_ingest.cli.options import correlation_option, filter_options
from vigilry_ingest.cli.output import (
    INTERRUPTED,
    broker_client,
    failures_in_one_line,
    json_option,
    print_json,
    print_json_line,
    progress,
)
from vigilry_ingest.cli.recording import records
from vigilry_ingest.cli.time_options import time_options
from vigilry_ingest.domain.event import Event
from vigilry_ingest.domain.times import rfc3339
from vigilry_ingest.services import services
from vigilry_ingest.storage.audit_log import Change, record
from vigilry_ingest.storage.event_queries import (
    Filter,
    count_events,
    find_event,
    newest_events,
    oldest_first,
    to_event,
)
from vigilry_ingest.stream.consuming.retention import has_group
from vigilry_ingest.stream.redis_keys import job_number_of
from vigilry_ingest.stream.replay import replay
from vigilry_ingest.stream.tail import EventTail, events_with

events_group = Group("events", help="Inspect and replay events.")
for _command in (
    dead_group, stats_command, forget_group_command, groups_command, regroup_command, purge_command,
    erase_command,
):  # fmt: skip
    events_group.add_command(_command)


@events_group.command("tail")
@click.option(
    "-n", "--last", type=click.IntRange(0, 10_000), default=10, show_default=True,
    help="Number of recent events to start with.",
)  # fmt: skip
@filter_options
@json_option
@failures_in_one_line
def tail_command(
    last: int, as_json: bool, project: str | None, severity: str | None, kind: str | None, type_: str | None
) -> None:
    """Follow the streams.

    Shows the newest events, then each new one as it arrives, until Ctrl-C.
    """
    config = services().config
    reader = EventTail(
        config.redis_url, partitions=config.stream_partitions, timeout_s=config.publish_timeout_ms / 1000
    )
    wanted = {"project_id": _project_id(project), "severity": severity, "kind": kind, "type": type_}
    try:
        for job_id, event in reader.follow(last):
            if all(value in (None, getattr(event, name)) for name, value in wanted.items()):
                _print_event(job_id, event, as_json=as_json)
    except KeyboardInterrupt:
        # The usual way to end the command, and not an error.
        raise SystemExit(INTERRUPTED) from None


@events_group.command("list")
@filter_options
@time_options
@correlation_option
@click.option("--group", metavar="GROUP", help="Only events of this group, as in `flask events groups`.")
@click.option(
    "-n", "--limit", "--most", "limit", type=click.IntRange(1, 100_000), default=50, show_default=True,
    help="Maximum number of events; --most is the old name.",
)  # fmt: skip
@json_option
@failures_in_one_line
def list_command(limit: int, as_json: bool, **wanted: Any) -> None:
    """List stored events, newest first."""
    rows = newest_events(services().engine, _filter(**wanted), limit)
    for row in rows:
        job_id, event = f"bull-{row.job_number}", to_event(row)
        _print_event(job_id, event, as_json=as_json, group=row.event_group)
    if not rows and not as_json:
        click.echo("There are no matching events.")


@events_group.command("show")
@click.argument("id_", metavar="JOB_ID|EVENT_ID")
@json_option
@failures_in_one_line
def show_command(id_: str, as_json: bool) -> None:
    """Show an event, whether it is stored or still on a stream."""
    number = job_number_of(id_)
    rows = find_event(services().engine, event_id=None if number is not None else id_, job_number=number)
    found: list[tuple[str, Event, str | None]] = [
        (f"bull-{row.job_number}", to_event(row), rfc3339(row.processed_at)) for row in rows
    ]
    if not found:
        with broker_client() as client:
            on_stream = events_with(client, id_, services().config.stream_partitions)
            found = [(job_id, event, None) for job_id, event in on_stream]
    if not found:
        raise click.ClickException(f"No event has the id {id_}, neither in the database nor on a stream.")
    for job_id, event, processed_at in found:
        if as_json:
            print_json_line(json_of(job_id, event, {"processed_at": processed_at} if processed_at else None))
        else:
            click.echo(page_of(job_id, event, processed_at))


@events_group.command("replay")
@click.option("--group", required=True, help="The consumer group; no other group receives the events.")
@filter_options
@time_options
@json_option
@records("events.replay")
@failures_in_one_line
def replay_command(group: str, as_json: bool, **wanted: Any) -> None:
    """Replay stored events to a consumer group."""
    parts = services()
    selected = _filter(**wanted)
    rows = oldest_first(parts.engine, selected)
    pairs = ((f"bull-{row.job_number}", to_event(row)) for row in rows)
    count = 0
    total = count_events(parts.engine, selected)
    with broker_client() as client:
        if not any(has_group(client, each, group) for each in range(parts.config.stream_partitions)):
            raise click.ClickException(f"No stream has a group {group}: see `flask events stats`.")
    record(parts.engine, Change("events.replay", group, selected.project, None, _scope(selected, total)))
    with broker_client() as client, progress("Replaying", total) as step:
        for done in replay(
            client, pairs, group=group, partitions=parts.config.stream_partitions,
            max_entries=parts.config.stream_max_entries,
        ):  # fmt: skip
            count += done
            step(done)
    if as_json:
        print_json({"group": group, "replayed": count})
    else:
        click.echo(f"Replayed {count:,} events to {group}.")


def _filter(*, project: str | None, type_: str | None, **wanted: Any) -> Filter:
    """Return the filter for the options of a command.

    Raises UnknownProject, DatabaseError.
    """
    return Filter(project=_project_id(project), type=type_, **wanted)


def _scope(selected: Filter, events: int) -> dict[str, Any]:
    since, until = (each.isoformat() if each else None for each in (selected.since, selected.until))
    given = {"since": since, "until": until, "severity": selected.severity, "kind": selected.kind}
    return given | {"type": selected.type, "events": events}


def _print_event(job_id: str, event: Event, *, as_json: bool, group: str | None = None) -> None:
    if as_json:
        print_json_line(json_of(job_id, event, {"group": group} if group else None))
    else:
        click.echo(line_of(job_id, event))


def _project_id(name_or_id: str | None) -> str | None:
    return None if name_or_id is None else project_id_of(services().engine, name_or_id)
