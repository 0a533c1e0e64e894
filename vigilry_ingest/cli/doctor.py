"""``flask doctor``: is everything set up so that no event is lost?"""

import click
from flask.cli import with_appcontext

from vigilry_ingest.cli.base import Command
from vigilry_ingest.cli.output import json_option, print_json
from vigilry_ingest.config.settings import Config
from vigilry_ingest.services import services
from vigilry_ingest.storage.diagnostics import table_faults
from vigilry_ingest.storage.engine import DatabaseError
from vigilry_ingest.storage.revision import check_migrated, unknown_revision
from vigilry_ingest.stream.diagnosis import Finding, diagnose
from vigilry_ingest.stream.errors import BrokerError, reason_of

_MARKS = {
    "ok": click.style("ok     ", fg="green"),
    "warning": click.style("warning", fg="yellow"),
    "danger": click.style("danger ", fg="red", bold=True),
}


@click.command("doctor", cls=Command)
@json_option
@click.pass_context
@with_appcontext
def doctor_command(context: click.Context, as_json: bool) -> None:
    """Say what endangers events.

    Connects as configured, and says a line for each thing that is right, doubtful or dangerous. The exit
    code is 1 when something is dangerous.
    """
    findings = [*_database(), *_broker(services().config)]
    for finding in findings:
        if as_json:
            print_json(finding._asdict())
        else:
            click.echo(f"{_MARKS[finding.level]}  {finding.subject}: {finding.text}")
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


def _broker(config: Config) -> list[Finding]:
    try:
        return diagnose(config)
    except BrokerError as error:
        text = f"It cannot be used as configured: {reason_of(error)} ({error.code})."
        return [Finding("danger", "broker", text)]
