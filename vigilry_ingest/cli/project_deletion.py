"""``flask projects delete``: delete a project with all of its events."""

import click
from flask.cli import with_appcontext

from vigilry_ingest.administration.protocols import Projects
from vigilry_ingest.administration.records import ErasedEvents
from vigilry_ingest.cli.administration import administration, server_option
from vigilry_ingest.cli.base import Command
from vigilry_ingest.cli.event_erasure import dry_run_option, report_erased
from vigilry_ingest.cli.output import failures_in_one_line, json_option
from vigilry_ingest.cli.recording import records
from vigilry_ingest.lifecycle.erasure import Counts


@click.command("delete", cls=Command)
@click.argument("project")
@dry_run_option
@server_option
@json_option
@click.option("--confirm", metavar="NAME", help="The name of the project, instead of typing it.")
@with_appcontext
@records("project.archive", "events.erase", "project.delete")
@failures_in_one_line
def delete_project_command(project: str, dry_run: bool, as_json: bool, confirm: str | None) -> None:
    """Delete PROJECT with all of its events.

    PROJECT is a name or an id. Erases its events as `flask events erase` does, its keys, and its sources with
    their secrets. Its keys are rejected within VIGILRY_KEY_CACHE_TTL_S.
    """
    projects = administration().projects
    if dry_run:
        erased = projects.count_events(project)
    else:
        erased = projects.delete(project, _asked_for(projects, project) if confirm is None else confirm)
    report_erased(_counts(erased), as_json=as_json, is_dry_run=dry_run)


def _asked_for(projects: Projects, name_or_id: str) -> str:
    name = projects.get(name_or_id).project
    counts = _counts(projects.count_events(name_or_id))
    click.echo(f"This deletes {name} with {counts.describe()}. They cannot be restored.", err=True)
    given: str = click.prompt("Type the name of the project to delete it", err=True)
    return given


def _counts(erased: ErasedEvents) -> Counts:
    return Counts(erased.events, erased.entries, erased.dead_letters)
