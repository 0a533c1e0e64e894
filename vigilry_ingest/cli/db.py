"""``flask db``: schema migrations."""

import click

from vigilry_ingest.cli.base import Group
from vigilry_ingest.cli.output import failures_in_one_line, json_option, print_json
from vigilry_ingest.cli.recording import records
from vigilry_ingest.services import services
from vigilry_ingest.storage.sqlite_space import compact

db_group = Group("db", help="Manage the database schema.")


@db_group.command("compact")
@json_option
@failures_in_one_line
def compact_command(as_json: bool) -> None:
    """Shrink an SQLite file to what is in it.

    Only needed once, for a file of an earlier version: files of this one shrink as events are purged. Nobody
    else can write meanwhile, so stop the workers for it. PostgreSQL frees space by itself.
    """
    engine = services().engine
    if engine.dialect.name != "sqlite":
        raise click.ClickException("Only an SQLite file is compacted; PostgreSQL frees space by itself.")
    freed = compact(engine)
    if as_json:
        print_json({"freed_bytes": freed})
    else:
        click.echo(f"Freed {freed:,} bytes.")


@db_group.command("upgrade")
@json_option
@records("db.upgrade")
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
