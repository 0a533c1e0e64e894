"""``flask projects``: list, rename, archive and limit projects."""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec

import click
from rich.text import Text

from vigilry_ingest.api_keys.projects import (
    NameTaken,
    ProjectSummary,
    archive,
    limit,
    list_projects,
    rename,
)
from vigilry_ingest.cli.base import Group
from vigilry_ingest.cli.event_erasure import delete_project_command
from vigilry_ingest.cli.output import (
    check_name,
    coloured,
    failures_in_one_line,
    json_option,
    minute,
    print_json,
    print_list,
)
from vigilry_ingest.cli.project_retention import retain_command
from vigilry_ingest.cli.project_scrubbing import scrub_command
from vigilry_ingest.cli.recording import records
from vigilry_ingest.domain.event import Quota
from vigilry_ingest.services import services
from vigilry_ingest.storage.models import Project

Arguments = ParamSpec("Arguments")

# One event per microsecond, the resolution of the broker's clock.
_MAX_RATE = 1_000_000
_MAX_BYTE_RATE = 10**12

projects_group = Group("projects", help="Manage projects.")
for _command in (retain_command, scrub_command, delete_project_command):
    projects_group.add_command(_command)


def _prints_project(command: Callable[Arguments, Project]) -> Callable[..., None]:
    """Print the project that a command returns."""

    @wraps(command)
    @failures_in_one_line
    def printed(*args: Arguments.args, **options: Arguments.kwargs) -> None:
        as_json = options.pop("as_json")
        project = command(*args, **options)
        if as_json:
            print_json(_as_object(project))
        else:
            click.echo(f"{project.name} ({project.id}) is {_state(project)}, limit: {_limit(project)}.")

    return printed


@projects_group.command("list")
@json_option
@failures_in_one_line
def list_command(as_json: bool) -> None:
    """List all projects."""
    print_list(
        list_projects(services().engine),
        as_json=as_json,
        to_object=_as_listed_object,
        columns=("PROJECT", "ID", "STATE", "LIVE KEYS", "LIMIT", "CREATED", "LAST USED"),
        to_cells=_as_row,
        if_none="There are no projects: make one with `flask keys mint PROJECT`.",
    )


@projects_group.command("rename")
@click.argument("project")
@click.argument("name")
@json_option
@records("project.rename")
@_prints_project
def rename_command(project: str, name: str) -> Project:
    """Rename PROJECT.

    PROJECT is a name or an id. The id and the keys stay the same.
    """
    check_name(name, "NAME")
    try:
        return rename(services().engine, project, name)
    except NameTaken as error:
        raise click.ClickException(f"Another project has the name {name}.") from error


@projects_group.command("archive")
@click.argument("project")
@json_option
@records("project.archive")
@_prints_project
def archive_command(project: str) -> Project:
    """Disable all keys of PROJECT.

    Takes effect on all web workers within VIGILRY_KEY_CACHE_TTL_S. Stored events are kept.
    """
    return archive(services().engine, project, is_archived=True)


@projects_group.command("unarchive")
@click.argument("project")
@json_option
@records("project.unarchive")
@_prints_project
def unarchive_command(project: str) -> Project:
    """Restore PROJECT from the archive; its keys work again."""
    return archive(services().engine, project, is_archived=False)


@projects_group.command("limit")
@click.argument("project")
@click.option("--per-second", type=click.IntRange(1, _MAX_RATE), help="Events per second, on average.")
@click.option(
    "--burst", type=click.IntRange(1, _MAX_RATE), help="Events at once.  [default: the value of --per-second]"
)
@click.option(
    "--bytes-per-second", type=click.IntRange(1, _MAX_BYTE_RATE),
    help="Bytes of events per second, on average and decompressed.",
)  # fmt: skip
@click.option("--none", "is_removed", is_flag=True, help="Remove the limit.")
@json_option
@records("project.limit")
@_prints_project
def limit_command(
    project: str, per_second: int | None, burst: int | None, bytes_per_second: int | None, is_removed: bool
) -> Project:
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
    quota = Quota(per_second or 0, burst or per_second or 0, bytes_per_second or 0) if is_limited else None
    return limit(services().engine, project, quota)


def _state(project: Project) -> str:
    return "archived" if project.archived_at else "live"


def _limit(project: Project) -> str:
    limits = []
    if project.rate_per_second is not None:
        limits.append(f"{project.rate_per_second:,}/s, {project.burst:,} at once")
    if project.bytes_per_second is not None:
        limits.append(f"{project.bytes_per_second:,} bytes/s")
    return ", ".join(limits) or "none"


def _as_row(row: ProjectSummary) -> tuple[str | Text, ...]:
    project = row.project
    return (
        project.name,
        project.id,
        coloured(_state(project)),
        str(row.live_keys),
        _limit(project),
        minute(project.created_at),
        minute(row.last_used_at),
    )


def _as_object(project: Project) -> dict[str, Any]:
    return {
        "project_id": project.id,
        "project": project.name,
        "state": _state(project),
        "per_second": project.rate_per_second,
        "burst": project.burst,
        "bytes_per_second": project.bytes_per_second,
        "retention_days": project.retention_days,
        "scrubbing": project.scrubbing,
        "created_at": project.created_at.isoformat(),
        "archived_at": project.archived_at.isoformat() if project.archived_at else None,
    }


def _as_listed_object(row: ProjectSummary) -> dict[str, Any]:
    used = row.last_used_at.isoformat() if row.last_used_at else None
    return _as_object(row.project) | {"live_keys": row.live_keys, "last_used_at": used}
