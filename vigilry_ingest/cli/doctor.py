"""``flask doctor``: checks for settings that can lose events."""

import click
from flask.cli import with_appcontext

from vigilry_ingest.cli.base import Command
from vigilry_ingest.cli.output import json_option, print_json
from vigilry_ingest.config.settings import Config
from vigilry_ingest.services import services
from vigilry_ingest.storage.diagnostics import table_faults
from vigilry_ingest.storage.engine import DatabaseError
from vigilry_ingest.storage.partitions.findings import partition_findings
from vigilry_ingest.storage.revision import check_migrated, unknown_revision
from vigilry_ingest.stream.diagnosis import diagnose
from vigilry_ingest.stream.errors import BrokerError, reason_of
from vigilry_ingest.stream.finding import Finding
from vigilry_ingest.stream.permissions import ROLES

_MARKS = {
    "ok": click.style("ok     ", fg="green"),
    "warning": click.style("warning", fg="yellow"),
    "danger": click.style("danger ", fg="red", bold=True),
}


@click.command("doctor", cls=Command)
@click.option(
    "--role", type=click.Choice(list(ROLES)),
    help="Check that the broker's user may do what this role needs.  [default: any of them]",
)  # fmt: skip
@json_option
@click.pass_context
@with_appcontext
def doctor_command(context: click.Context, role: str | None, as_json: bool) -> None:
    """Check the database and broker for settings that can lose events.

    Connects as configured and prints a line for each finding: ok, warning or danger. The exit code is 1 if
    there is a danger.
    """
    findings = [*_check_database(), *_check_broker(services().config, role)]
    for finding in findings:
        if as_json:
            print_json(finding._asdict())
        else:
            click.echo(f"{_MARKS[finding.level]}  {finding.subject}: {finding.text}")
    if any(finding.level == "danger" for finding in findings):
        context.exit(1)


def _check_database() -> list[Finding]:
    engine = services().engine
    try:
        check_migrated(engine)
        if faults := table_faults(engine):
            return [Finding("danger", "database", fault) for fault in faults]
        later, partitions = unknown_revision(engine), list(partition_findings(engine))
    except DatabaseError as error:
        return [Finding("danger", "database", str(error))]
    if later is not None:
        text = f"It was migrated by a later version of this program, to the unknown revision {later}."
        return [Finding("warning", "database", text), *partitions]
    return [Finding("ok", "database", "It responds, is migrated, and its tables can be used."), *partitions]


def _check_broker(config: Config, role: str | None) -> list[Finding]:
    try:
        return diagnose(config, role)
    except BrokerError as error:
        text = f"It cannot be used as configured: {reason_of(error)} ({error.code})."
        return [Finding("danger", "broker", text)]
