"""``flask projects retain``: for how many days the events of a project are kept."""

import click
from flask.cli import with_appcontext

from vigilry_ingest.cli.administration import administration, server, server_option
from vigilry_ingest.cli.base import Command
from vigilry_ingest.cli.output import failures_in_one_line, json_option, print_json
from vigilry_ingest.cli.recording import records
from vigilry_ingest.services import services


@click.command("retain", cls=Command)
@click.argument("project")
@click.option(
    "--days", type=click.IntRange(0, 36_500), help="Days after which events are deleted; 0 for never."
)
@click.option("--default", "is_default", is_flag=True, help="Keep events for VIGILRY_RETENTION_DAYS.")
@server_option
@json_option
@with_appcontext
@records("project.retain")
@failures_in_one_line
def retain_command(project: str, days: int | None, is_default: bool, as_json: bool) -> None:
    """Set for how many days events of PROJECT are kept.

    PROJECT is a name or an id. Workers delete stored events and dead letters that were received before.
    """
    if is_default == (days is not None):
        raise click.UsageError("Specify either --days or --default.")
    changed = administration().projects.change(project, {"retention_days": days})
    if as_json:
        print_json({"project_id": changed.project_id, "project": changed.project, "retention_days": days})
    else:
        click.echo(f"Events of {changed.project} ({changed.project_id}) are kept {_period(days)}.")


def _period(days: int | None) -> str:
    if days is None:
        if server():
            return "for VIGILRY_RETENTION_DAYS"
        default = services().config.retention_days
        return f"for VIGILRY_RETENTION_DAYS, which is {f'{default:,} days' if default else 'for ever'}"
    return f"for {days:,} days" if days else "for ever"
