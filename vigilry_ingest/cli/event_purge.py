"""``flask events purge``: delete events that are past their time, or older than a given one."""

from datetime import UTC, datetime
from functools import partial
from typing import Any

import click
from flask.cli import with_appcontext

from vigilry_ingest.api_keys.projects import project_id_of
from vigilry_ingest.cli.base import Command
from vigilry_ingest.cli.output import (
    INTERRUPTED,
    broker_client,
    failures_in_one_line,
    json_option,
    print_json,
    progress,
)
from vigilry_ingest.cli.recording import records
from vigilry_ingest.cli.time_options import Time
from vigilry_ingest.lifecycle.retention import (
    Cutoff,
    Retention,
    by_partition,
    expired_events,
    is_expired,
    purge_dead_letters,
    purge_events,
)
from vigilry_ingest.services import services
from vigilry_ingest.storage.audit_log import Change, record
from vigilry_ingest.storage.event_queries import count_events
from vigilry_ingest.storage.sqlite_space import return_free_space
from vigilry_ingest.stream.erasure import count_dead_letters


@click.command("purge", cls=Command)
@click.option(
    "--older-than", "until", type=Time(is_relative=True), metavar="DURATION|TIME",
    help="Delete what was received before this time: 30d, or 2026-01-31.  [default: what is past the days of "
    "its project, or VIGILRY_RETENTION_DAYS]",
)  # fmt: skip
@click.option("--project", help="Only events of this project, given by name or id.")
@click.option("--dry-run", is_flag=True, help="Only count what would be deleted.")
@json_option
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@with_appcontext
@records("events.purge")
@failures_in_one_line
def purge_command(
    until: datetime | None, project: str | None, dry_run: bool, as_json: bool, yes: bool
) -> None:
    """Delete old events now.

    Deletes stored events with their correlations, and dead letters. Workers delete what is past its time
    by themselves, once a minute. Safe to interrupt, to repeat, and to run beside workers.
    """
    cutoff = _cutoff(until, project)
    with broker_client() as client:
        events, dead = _count(client, cutoff)
        if not dry_run:
            if (events or dead) and not yes:
                click.confirm(f"Delete {events:,} events and {dead:,} dead letters?", abort=True)
            _record(until, project, events, dead)
            events, dead = _purge(client, cutoff, events + dead)
    if as_json:
        print_json({"events": events, "dead_letters": dead, "dry_run": dry_run})
    else:
        verb = "would be deleted" if dry_run else "deleted"
        click.echo(f"{events:,} events and {dead:,} dead letters {verb}.")


def _cutoff(until: datetime | None, project: str | None) -> Cutoff:
    """Return the cutoffs that the options ask for.

    Raises UnknownProject, DatabaseError.
    """
    engine = services().engine
    own_id = None if project is None else project_id_of(engine, project)
    retention = Retention.read(engine, services().config.retention_days)
    if until is None and not retention.is_limited:
        raise click.UsageError(
            "All events are kept for ever: specify --older-than, or set VIGILRY_RETENTION_DAYS, or the days "
            "of a project with `flask projects retain`."
        )
    now = datetime.now(UTC)
    by_project: Cutoff = lambda _project_id: until  # noqa: E731  a name for both
    if until is None:
        by_project = by_partition(engine, retention.cutoff(now), now)
    return lambda project_id: by_project(project_id) if own_id in (None, project_id) else None


def _record(until: datetime | None, project: str | None, events: int, dead: int) -> None:
    engine = services().engine
    project_id = None if project is None else project_id_of(engine, project)
    older_than = until.isoformat() if until else None
    counts = {"older_than": older_than, "events": events, "dead_letters": dead}
    record(engine, Change("events.purge", project_id or "all", project_id, None, counts))


def _count(client: Any, cutoff: Cutoff) -> tuple[int, int]:
    engine, partitions = services().engine, services().config.stream_partitions
    matches = partial(is_expired, cutoff=cutoff)
    return (
        sum(count_events(engine, expired) for expired in expired_events(engine, cutoff)),
        sum(count_dead_letters(client, partition, matches) for partition in range(partitions)),
    )


def _purge(client: Any, cutoff: Cutoff, total: int) -> tuple[int, int]:
    engine, partitions = services().engine, services().config.stream_partitions
    events = dead = 0
    try:
        with progress("Deleting", total) as step:
            for number in purge_events(engine, cutoff):
                events += number
                step(number)
            for number in purge_dead_letters(client, partitions, cutoff):
                dead += number
                step(number)
        for _ in return_free_space(engine):
            pass
    except KeyboardInterrupt:
        click.echo(f"Stopped after {events:,} events and {dead:,} dead letters.", err=True)
        raise SystemExit(INTERRUPTED) from None
    return events, dead
