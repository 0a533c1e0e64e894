"""``flask doctor``: is everything set up so that no event is lost?"""

import click
from flask.cli import with_appcontext

from vigilry_ingest.cli.people import json_option, print_json
from vigilry_ingest.config import Config
from vigilry_ingest.db.migrate import is_current
from vigilry_ingest.db.session import DatabaseError
from vigilry_ingest.services import services
from vigilry_ingest.stream.diagnosis import Finding, diagnose
from vigilry_ingest.stream.errors import PublishError

_MARKS = {
    "ok": click.style("ok     ", fg="green"),
    "warning": click.style("warning", fg="yellow"),
    "danger": click.style("danger ", fg="red", bold=True),
}


@click.command("doctor")
@json_option
@click.pass_context
@with_appcontext
def doctor_command(context: click.Context, as_json: bool) -> None:
    """Connect as configured, and say what is right and what endangers events. Exit code 1 for a danger."""
    findings = [*_database(), *_broker(services().config)]
    for finding in findings:
        if as_json:
            print_json(finding._asdict())
        else:
            click.echo(f"{_MARKS[finding.level]}  {finding.subject}: {finding.text}")
    if any(finding.level == "danger" for finding in findings):
        context.exit(1)


def _database() -> list[Finding]:
    try:
        if is_current(services().engine):
            return [Finding("ok", "database", "It answers, and is up to date.")]
        return [Finding("danger", "database", "It is not migrated: run `flask db upgrade`.")]
    except DatabaseError as error:
        return [Finding("danger", "database", str(error))]


def _broker(config: Config) -> list[Finding]:
    try:
        return diagnose(
            config.redis_url,
            partitions=config.stream_partitions,
            durability=config.durability,
            timeout_s=config.publish_timeout_ms / 1000,
        )
    except PublishError as error:
        return [Finding("danger", "broker", f"It cannot be used as configured ({error.code}).")]
