"""``flask db``: the database's tables."""

import click
from flask.cli import AppGroup

from vigilry_ingest.cli.people import failures_in_one_line
from vigilry_ingest.db.migrate import upgrade
from vigilry_ingest.services import services

db_group = AppGroup("db", help="The database's tables.")


@db_group.command("upgrade")
@failures_in_one_line
def upgrade_command() -> None:
    """Bring the database to this version.

    Safe to repeat, and to run on several hosts at once.
    """
    applied = upgrade(services().engine)
    for name in applied:
        click.echo(f"applied {name}")
    if not applied:
        click.echo("The database is up to date.")
