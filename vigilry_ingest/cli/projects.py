"""``flask projects``: list, rename, archive and limit projects."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

import click
from rich.text import Text

from vigilry_ingest.administration.records import ListedProject, ProjectRecord, to_object
from vigilry_ingest.administration.requests import MAX_BYTE_RATE, MAX_RATE
from vigilry_ingest.cli.administration import administration, every, server_option
from vigilry_ingest.cli.base import Group
from vigilry_ingest.cli.output import (
    check_name,
    coloured,
    failures_in_one_line,
    json_option,
    minute,
    print_json,
    print_list,
)
from vigilry_ingest.cli.project_deletion import delete_project_command
from vigilry_ingest.cli.project_retention import retain_command
from vigilry_ingest.cli.project_scrubbing import scrub_command
from vigilry_ingest.cli.recording import records

Arguments = ParamSpec("Arguments")

projects_group = Group("projects", help="Manage projects.")
for _command in (retain_command, scrub_command, delete_project_command):
    projects_group.add_command(_command)


def _prints_project(command: Callable[Arguments, ProjectRecord]) -> Callable[..., None]:
    """Print the project that a command returns."""

    @wraps(command)
    @failures_in_one_line
    def printed(*args: Arguments.args, **options: Arguments.kwargs) -> None:
        as_json = options.pop("as_json")
        project = command(*args, **options)
        if as_json:
            print_json(to_object(project))
        else:
            click.echo(
                f"{project.project} ({project.project_id}) is {project.state}, limit: {_limit(project)}."
            )

    return printed


@projects_group.command("list")
@server_option
@json_option
@failures_in_one_line
def list_command(as_json: bool) -> None:
    """List all projects."""
    print_list(
        every(administration().projects.page, lambda project: project.project),
        as_json=as_json,
        to_object=to_object,
        columns=("PROJECT", "ID", "STATE", "LIVE KEYS", "LIMIT", "CREATED", "LAST USED"),
        to_cells=_as_row,
        if_none="There are no projects: make one with `flask keys mint PROJECT`.",
    )


@projects_group.command("rename")
@click.argument("project")
@click.argument("name")
@server_option
@json_option
@records("project.rename")
@_prints_project
def rename_command(project: str, name: str) -> ProjectRecord:
    """Rename PROJECT.

    PROJECT is a name or an id. The id and the keys stay the same.
    """
    check_name(name, "NAME")
    return administration().projects.change(project, {"name": name})


@projects_group.command("archive")
@click.argument("project")
@server_option
@json_option
@records("project.archive")
@_prints_project
def archive_command(project: str) -> ProjectRecord:
    """Disable all keys of PROJECT.

    Takes effect on all web workers within VIGILRY_KEY_CACHE_TTL_S. Stored events are kept.
    """
    return administration().projects.change(project, {"archived": True})


@projects_group.command("unarchive")
@click.argument("project")
@server_option
@json_option
@records("project.unarchive")
@_prints_project
def unarchive_command(project: str) -> ProjectRecord:
    """Restore PROJECT from the archive; its keys work again."""
    return administration().projects.change(project, {"archived": False})


@projects_group.command("limit")
@click.argument("project")
@click.option("--per-second", type=click.IntRange(1, MAX_RATE), help="Events per second, on average.")
@click.option(
    "--burst", type=click.IntRange(1, MAX_RATE), help="Events at once.  [default: the value of --per-second]"
)
@click.option(
    "--bytes-per-second", type=click.IntRange(1, MAX_BYTE_RATE),
    help="Bytes of events per second, on average and decompressed.",
)  # fmt: skip
@click.option("--none", "is_removed", is_flag=True, help="Remove the limit.")
@server_option
@json_option
@records("project.limit")
@_prints_project
def limit_command(
    project: str, per_second: int | None, burst: int | None, bytes_per_second: int | None, is_removed: bool
) -> ProjectRecord:
    """Limit how many events PROJECT may send.

    Counted exactly across all workers and hosts; each event of a batch counts. Requests over the limit are
    rejected with 429. A limit that is not given is removed. Takes effect on all web workers within
    VIGILRY_KEY_CACHE_TTL_S.
    """
    is_limited = per_second is not None or bytes_per_second is not None
    if is_removed == is_limited or (burst is not None and per_second is None):
        raise click.UsageError(
            "Specify --per-second, optionally with --burst, or --bytes-per-second, or both; or else --none."
        )
    limits = {"per_second": per_second, "burst": burst, "bytes_per_second": bytes_per_second}
    return administration().projects.change(project, limits)


def _limit(project: ProjectRecord) -> str:
    limits = []
    if project.per_second is not None:
        limits.append(f"{project.per_second:,}/s, {project.burst:,} at once")
    if project.bytes_per_second is not None:
        limits.append(f"{project.bytes_per_second:,} bytes/s")
    return ", ".join(limits) or "none"


def _as_row(project: ListedProject) -> tuple[str | Text, ...]:
    return (
        project.project,
        project.project_id,
        coloured(project.state),
        str(project.live_keys),
        _limit(project),
        minute(project.created_at),
        minute(project.last_used_at),
    )
