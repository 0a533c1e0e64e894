"""``flask projects``: listing, renaming, archiving and limiting projects."""

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
from vigilry_ingest.cli.output import (
    check_name,
    coloured,
    failures_in_one_line,
    json_option,
    minute,
    print_json,
    print_list,
)
from vigilry_ingest.domain.event import Quota
from vigilry_ingest.services import services
from vigilry_ingest.storage.models import Project

Arguments = ParamSpec("Arguments")

# Beyond it an event would have to come within less than a microsecond, the broker's own measure of time.
_MOST = 1_000_000

projects_group = Group("projects", help="Projects: list, rename, archive, limit.")


def _changes(command: Callable[Arguments, Project]) -> Callable[..., None]:
    """Let a command that changes a project show it."""

    @wraps(command)
    @failures_in_one_line
    def shown(*args: Arguments.args, **options: Arguments.kwargs) -> None:
        as_json = options.pop("as_json")
        project = command(*args, **options)
        if as_json:
            print_json(_as_object(project))
        else:
            click.echo(f"{project.name} ({project.id}) is {_state(project)}, limit: {_limit(project)}.")

    return shown


@projects_group.command("list")
@json_option
@failures_in_one_line
def list_command(as_json: bool) -> None:
    """List every project."""
    print_list(
        list_projects(services().engine),
        as_json=as_json,
        to_object=_as_listed_object,
        columns=("PROJECT", "ID", "STATE", "LIVE KEYS", "LIMIT", "CREATED", "LAST USED"),
        to_cells=_as_row,
        if_none="No projects yet: `flask keys mint PROJECT` makes the first.",
    )


@projects_group.command("rename")
@click.argument("project")
@click.argument("name")
@json_option
@_changes
def rename_command(project: str, name: str) -> Project:
    """Give PROJECT another name.

    PROJECT is a name or an id. Its id and its keys stay.
    """
    check_name(name, "NAME")
    try:
        return rename(services().engine, project, name)
    except NameTaken as error:
        raise click.ClickException(f"Another project has the name {name}.") from error


@projects_group.command("archive")
@click.argument("project")
@json_option
@_changes
def archive_command(project: str) -> Project:
    """Refuse all keys of PROJECT from now on.

    Holds on every worker within VIGILRY_KEY_CACHE_TTL_S. Its events stay.
    """
    return archive(services().engine, project, is_archived=True)


@projects_group.command("unarchive")
@click.argument("project")
@json_option
@_changes
def unarchive_command(project: str) -> Project:
    """Take PROJECT back from the archive; its keys work again."""
    return archive(services().engine, project, is_archived=False)


@projects_group.command("limit")
@click.argument("project")
@click.option("--per-second", type=click.IntRange(1, _MOST), help="Events a second, in the long run.")
@click.option("--burst", type=click.IntRange(1, _MOST), help="Events at once.  [default: as --per-second]")
@click.option("--none", "is_lifted", is_flag=True, help="Lift the limit.")
@json_option
@_changes
def limit_command(project: str, per_second: int | None, burst: int | None, is_lifted: bool) -> Project:
    """Limit what PROJECT may send.

    Counted exactly over all workers and hosts; a batch counts by its events. What is over the limit is
    refused with 429. Holds on every worker within VIGILRY_KEY_CACHE_TTL_S.
    """
    if is_lifted == (per_second is not None) or (is_lifted and burst is not None):
        raise click.UsageError("Say either --per-second, with or without --burst, or --none.")
    quota = None if per_second is None else Quota(per_second, burst or per_second)
    return limit(services().engine, project, quota)


def _state(project: Project) -> str:
    return "archived" if project.archived_at else "live"


def _limit(project: Project) -> str:
    if project.rate_per_second is None:
        return "none"
    return f"{project.rate_per_second:,}/s, {project.burst:,} at once"


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
        "created_at": project.created_at.isoformat(),
        "archived_at": project.archived_at.isoformat() if project.archived_at else None,
    }


def _as_listed_object(row: ProjectSummary) -> dict[str, Any]:
    used = row.last_used_at.isoformat() if row.last_used_at else None
    return _as_object(row.project) | {"live_keys": row.live_keys, "last_used_at": used}
