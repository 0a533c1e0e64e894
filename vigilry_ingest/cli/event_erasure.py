"""``flask events erase``: erase the events of a person wherever they are."""

from typing import Any

import click
from flask.cli import with_appcontext

from vigilry_ingest.api_keys.projects import project_id_of
from vigilry_ingest.cli.base import Command
from vigilry_ingest.cli.options import correlation_option
from vigilry_ingest.cli.output import (
    broker_client,
    failures_in_one_line,
    json_option,
    print_json,
    progress,
)
from vigilry_ingest.cli.recording import records
from vigilry_ingest.lifecycle.erasure import Counts, Erasure, StoredMeanwhile, Subject, erase_all
from vigilry_ingest.services import services
from vigilry_ingest.storage.correlations import MAX_LENGTH

dry_run_option = click.option("--dry-run", is_flag=True, help="Only count what would be erased.")


@click.command("erase", cls=Command)
@click.option("--project", required=True, help="The project, given by name or id.")
@correlation_option
@dry_run_option
@json_option
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@with_appcontext
@records("events.erase")
@failures_in_one_line
def erase_command(project: str, correlation: dict[str, str], dry_run: bool, as_json: bool, yes: bool) -> None:
    """Erase the events of a person.

    Erases the events of a project with a --correlation, such as user_id=usr_9: from the database, from the
    streams, read or unread and for every group, and from the dead letters. Then looks again.
    """
    if not correlation:
        raise click.UsageError("Specify --correlation NAME=VALUE, one or several.")
    if any(len(text) > MAX_LENGTH for pair in correlation.items() for text in pair):
        raise click.UsageError(f"Events are found by names and values of at most {MAX_LENGTH} characters.")
    project_id = project_id_of(services().engine, project)
    with broker_client() as client:
        erasure = _erasure(client, Subject(project_id, correlation))
        counts = erasure.count()
        if not dry_run:
            if any(counts) and not yes:
                click.confirm(f"Erase {counts.describe()}? They cannot be restored.", abort=True)
            erasure.record(counts)
            counts = _erase(erasure, counts)
    report_erased(counts, as_json=as_json, is_dry_run=dry_run)


def _erasure(client: Any, subject: Subject) -> Erasure:
    return Erasure(services().engine, client, services().config.stream_partitions, subject)


def _erase(erasure: Erasure, found: Counts) -> Counts:
    """Erase, and return what was; exit with code 1 if a second look finds more."""
    try:
        with progress("Erasing", sum(found)) as step:
            return erase_all(erasure, step)
    except StoredMeanwhile as error:
        raise click.ClickException(str(error)) from error


def report_erased(counts: Counts, *, as_json: bool, is_dry_run: bool) -> None:
    """Print how many events were erased, or would be."""
    if as_json:
        print_json(counts._asdict() | {"dry_run": is_dry_run})
    else:
        click.echo(f"{counts.describe()} {'would be erased' if is_dry_run else 'erased; none is left'}.")
