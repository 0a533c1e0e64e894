"""``flask db``: schema migrations, and partitions."""

import click

from vigilry_ingest.cli.base import Group
from vigilry_ingest.cli.output import failures_in_one_line, json_option, print_json, progress
from vigilry_ingest.cli.recording import records
from vigilry_ingest.services import services
from vigilry_ingest.storage.audit_log import Change, record
from vigilry_ingest.storage.partitions.conversion import Conversion
from vigilry_ingest.storage.partitions.layout import layouts
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


@db_group.command("partition")
@json_option
@records("db.partition")
@failures_in_one_line
def partition_command(as_json: bool) -> None:
    """Partition PostgreSQL's tables of events by time.

    Only needed for tables from an earlier version: new ones are partitioned. Events are stored meanwhile, and
    none is moved: a table becomes the first partition. Safe to interrupt, and to repeat until it is done. A
    table that you have partitioned yourself is left alone.
    """
    engine, period = services().engine, services().config.partition_period
    if engine.dialect.name != "postgresql":
        raise click.ClickException(
            "Only tables on PostgreSQL are partitioned; an SQLite file shrinks by itself."
        )
    conversion = Conversion(engine, period)
    plain = [table.name for table in conversion.tables]
    if plain:
        record(engine, Change("db.partition", ", ".join(plain), after={"period": period}))
    done = []
    with progress("Partitioning", Conversion.STEPS * len(plain)) as step:
        for each in conversion.run():
            done.append(each)
            step(1)
    if as_json:
        print_json({"partitioned": plain, "steps": done})
        return
    for each in done:
        click.echo(each)
    if foreign := [name for name, layout in layouts(engine).items() if layout.kind == "foreign"]:
        click.echo(f"{', '.join(foreign)}: partitioned by someone else, so left alone.")
    elif not done:
        click.echo("The tables are partitioned.")


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

    applied = upgrade(services().engine, services().config.partition_period)
    if as_json:
        print_json({"applied": applied})
        return
    for name in applied:
        click.echo(f"applied {name}")
    if not applied:
        click.echo("The database is up to date.")
