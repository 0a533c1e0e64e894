"""``flask db``: schema migrations."""

import click

from vigilry_ingest.cli.base import Group
from vigilry_ingest.cli.output import failures_in_one_line, json_option, print_json
from vigilry_ingest.services import services

db_group = Group("db", help="Manage the database schema.")


@db_group.command("upgrade")
@json_option
@failures_in_one_line
def upgrade_command(as_json: bool) -> None:
    """Migrate the database to this version.

    Safe to repeat, and to run on several hosts at once.
    """
    # Imported here, so that other commands and the web workers do not load Alembic.
    from vigilry_ingest.storage.migrate import upgrade

    applied = upgrade(services().engine)
    if as_json:
        print_json({"applied": applied})
        return
    for name in applied:
        click.echo(f"applied {name}")
    if not applied:
        click.echo("The database is up to date.")
