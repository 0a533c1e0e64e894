"""``flask events groups`` and ``regroup``: list groups of errors, and group older events."""

from datetime import datetime
from typing import Any

import click
from flask.cli import with_appcontext

from vigilry_ingest.api_keys.projects import project_id_of
from vigilry_ingest.cli.base import Command
from vigilry_ingest.cli.event_format import printable
from vigilry_ingest.cli.output import (
    INTERRUPTED,
    failures_in_one_line,
    json_option,
    minute,
    print_json,
    print_list,
    progress,
)
from vigilry_ingest.cli.recording import records
from vigilry_ingest.cli.time_options import time_options
from vigilry_ingest.domain.fingerprint import GROUPED_KINDS
from vigilry_ingest.domain.times import rfc3339
from vigilry_ingest.services import services
from vigilry_ingest.storage.audit_log import Change, record
from vigilry_ingest.storage.event_groups import EventGroup, largest_groups, regroup
from vigilry_ingest.storage.event_queries import Filter, count_events

_MAX_SHOWN_LENGTH = 200


@click.command("groups", cls=Command)
@click.option("--kind", type=click.Choice(GROUPED_KINDS), help="Only events of this kind.")
@click.option("--project", help="Only events of this project, given by name or id.")
@time_options
@click.option(
    "-n", "--limit", type=click.IntRange(1, 1000), default=50, show_default=True,
    help="Maximum number of groups.",
)  # fmt: skip
@json_option
@with_appcontext
@failures_in_one_line
def groups_command(
    kind: str | None, project: str | None, since: datetime | None, until: datetime | None, limit: int,
    as_json: bool,
) -> None:  # fmt: skip
    """List groups of errors, the most frequent first.

    Counts and times are those of the matching events.
    """
    engine = services().engine
    project_id = None if project is None else project_id_of(engine, project)
    wanted = Filter(project=project_id, kind=kind, since=since, until=until)
    print_list(
        largest_groups(engine, wanted, limit),
        as_json=as_json,
        to_object=_object,
        columns=("GROUP", "EVENTS", "FIRST SEEN", "LAST SEEN", "MESSAGE"),
        to_cells=_cells,
        if_none="There are no groups of matching events.",
    )


@click.command("regroup", cls=Command)
@click.option("--all", "is_all", is_flag=True, help="Also set the groups of events that have one.")
@click.option("--after", metavar="EVENT_ID", default="", help="Continue after this event.")
@json_option
@with_appcontext
@records("events.regroup")
@failures_in_one_line
def regroup_command(is_all: bool, after: str, as_json: bool) -> None:
    """Group the errors of earlier versions.

    Sets the groups of stored errors that have none. Safe to repeat, and to run beside workers. Ctrl-C stops
    it, and reports where to continue.
    """
    engine = services().engine
    record(engine, Change("events.regroup", "all" if is_all else "ungrouped", after={"after": after or None}))
    count, last_id = 0, after
    try:
        with progress("Grouping", count_events(engine, Filter())) as step:
            for done in regroup(engine, after=after, is_all=is_all):
                count, last_id = count + done.grouped, done.last_id
                step(done.seen)
    except KeyboardInterrupt:
        click.echo(f"Stopped after {count:,} events. Continue with --after {last_id}.", err=True)
        raise SystemExit(INTERRUPTED) from None
    if as_json:
        print_json({"grouped": count})
    else:
        click.echo(f"Grouped {count:,} events.")


def _cells(group: EventGroup) -> tuple[str, ...]:
    return (
        group.id, f"{group.events:,}", minute(group.first_seen), minute(group.last_seen),
        printable(group.newest.message, _MAX_SHOWN_LENGTH),
    )  # fmt: skip


def _object(group: EventGroup) -> dict[str, Any]:
    return {
        "group": group.id,
        "events": group.events,
        "firstSeen": rfc3339(group.first_seen),
        "lastSeen": rfc3339(group.last_seen),
        "projectId": group.newest.project_id,
        "kind": group.newest.kind,
        "type": group.newest.type,
        "message": group.newest.message,
        "newestJobId": f"bull-{group.newest.job_number}",
    }
