"""``flask db``: the database's tables."""

import click

from vigilry_ingest.cli.base import Group
from vigilry_ingest.cli.output import failures_in_one_line, json_option, print_json
from vigilry_ingest.services import services

db_group = Group("db", help="The database's tables.")


@db_group.command("upgrade")
@json_option
@failures_in_one_line
def upgrade_command(as_json: bool) -> None:
    """Bring the database to this version.

    Safe to repeat, and to run on several hosts at once.
    """
    # Not above: every command, and every web worker, would load Alembic when it starts, and not use it.
    from vigilry_ingest.storage.migrate import upgrade

    applied = upgrade(services().engine)
    if as_json:
        print_json({"applied": applied})
        return
    for name in applied:
        click.echo(f"applied {name}")
    if not applied:
        click.echo("The database is up to date.")
