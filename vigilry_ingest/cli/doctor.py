"""``flask doctor``: is everything set up so that no event is lost?"""

from typing import Any

import click
from flask.cli import with_appcontext

from vigilry_ingest.cli.command import Command
from vigilry_ingest.cli.people import json_option, print_json
from vigilry_ingest.config import Config
from vigilry_ingest.db.inspection import table_faults
from vigilry_ingest.db.revision import check_migrated, unknown_revision
from vigilry_ingest.db.session import DatabaseError
from vigilry_ingest.services import services
from vigilry_ingest.stream.diagnosis import Finding, diagnose, obstacles
from vigilry_ingest.stream.errors import PublishError, reason_of

_MARKS = {
    "ok": click.style("ok     ", fg="green"),
    "warning": click.style("warning", fg="yellow"),
    "danger": click.style("danger ", fg="red", bold=True),
}


@click.command("doctor", cls=Command)
@click.option(
    "--before-start",
    is_flag=True,
    help="Only look for what makes VIGILRY_DURABILITY impossible; a broker that is away does not.",
)
@json_option
@click.pass_context
@with_appcontext
def doctor_command(context: click.Context, as_json: bool, before_start: bool) -> None:
    """Say what endangers events.

    Connects as configured, and says a line for each thing that is right, doubtful or dangerous. The exit
    code is 1 when something is dangerous.
    """
    config = services().config
    findings = _obstacles(config) if before_start else [*_database(), *_broker(config)]
    for finding in findings:
        if as_json:
            print_json(finding._asdict())
        else:
            line = f"{_MARKS[finding.level]}  {finding.subject}: {finding.text}"
            click.echo(line, err=before_start and finding.level == "danger")
    if any(finding.level == "danger" for finding in findings):
        context.exit(1)


def _database() -> list[Finding]:
    engine = services().engine
    try:
        check_migrated(engine)
        if faults := table_faults(engine):
            return [Finding("danger", "database", fault) for fault in faults]
        later = unknown_revision(engine)
    except DatabaseError as error:
        return [Finding("danger", "database", str(error))]
    if later is not None:
        text = f"It is of a later version of this program: its revision {later} is unknown to this one."
        return [Finding("warning", "database", text)]
    return [Finding("ok", "database", "It answers, is up to date, and its tables can be used.")]


def _obstacles(config: Config) -> list[Finding]:
    try:
        return obstacles(**_how_to_look(config))
    except PublishError as error:
        text = f"It cannot be used yet: {_reason(error)}; events are refused until it can."
        return [Finding("warning", "broker", text)]


def _broker(config: Config) -> list[Finding]:
    try:
        return diagnose(**_how_to_look(config))
    except PublishError as error:
        return [Finding("danger", "broker", f"It cannot be used as configured: {_reason(error)}.")]


def _reason(error: PublishError) -> str:
    return f"{reason_of(error)} ({error.code})"


def _how_to_look(config: Config) -> dict[str, Any]:
    return {
        "url": config.redis_url,
        "partitions": config.stream_partitions,
        "durability": config.durability,
        "timeout_s": config.publish_timeout_ms / 1000,
    }
