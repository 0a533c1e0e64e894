"""``flask projects scrub``: what is replaced in the events of a project before they are published."""

import click
from flask.cli import with_appcontext

from vigilry_ingest.api_keys.projects import scrub
from vigilry_ingest.cli.base import Command
from vigilry_ingest.cli.output import failures_in_one_line, json_option, print_json
from vigilry_ingest.cli.recording import records
from vigilry_ingest.domain.scrubbing.patterns import PATTERNS
from vigilry_ingest.domain.scrubbing.rules import DEFAULT_RULES, InvalidRules, ScrubbingRules
from vigilry_ingest.services import services
from vigilry_ingest.storage.models import Project


def _names(_context: click.Context, _option: click.Parameter, given: str | None) -> list[str]:
    return [name.strip() for name in given.split(",")] if given else []


@click.command("scrub", cls=Command)
@click.argument("project")
@click.option(
    "--fields", metavar="A,B,…", callback=_names,
    help="Names of fields whose values are replaced, by their words; * stands for more letters.",
)  # fmt: skip
@click.option(
    "--patterns", metavar="A,B,…", callback=_names,
    help=f"What values look like that are replaced: {', '.join(PATTERNS)}.",
)  # fmt: skip
@click.option("--default", "is_default", is_flag=True, help="Add the usual fields and patterns of secrets.")
@click.option("--off", "is_off", is_flag=True, help="Replace nothing.")
@json_option
@with_appcontext
@records("project.scrub")
@failures_in_one_line
def scrub_command(
    project: str, fields: list[str], patterns: list[str], is_default: bool, is_off: bool, as_json: bool
) -> None:
    """Replace secrets in events of PROJECT.

    PROJECT is a name or an id. Values of the fields and of the patterns are replaced by [scrubbed] before an
    event is published. These rules replace those that PROJECT had. They take effect on all web workers within
    VIGILRY_KEY_CACHE_TTL_S; events that are published already do not change.

    \b
      flask projects scrub shop --default
      flask projects scrub shop --fields "*password*,api_key" --patterns card-number,email
    """
    if is_off == bool(fields or patterns or is_default):
        raise click.UsageError("Specify --fields, --patterns or --default; or else --off.")
    if is_default:
        fields, patterns = [*DEFAULT_RULES.fields, *fields], [*DEFAULT_RULES.patterns, *patterns]
    try:
        rules = None if is_off else ScrubbingRules.checked(fields, patterns)
    except InvalidRules as error:
        raise click.UsageError(str(error)) from None
    changed = scrub(services().engine, project, rules)
    if as_json:
        print_json({"project_id": changed.id, "project": changed.name, "scrubbing": changed.scrubbing})
    else:
        click.echo(_as_text(changed, rules))


def _as_text(project: Project, rules: ScrubbingRules | None) -> str:
    name = f"{project.name} ({project.id})"
    if rules is None:
        return f"Events of {name} are published as they are sent."
    lines = [f"In events of {name} these are replaced by [scrubbed]:"]
    lines += [f"  fields    {', '.join(rules.fields)}"] if rules.fields else []
    lines += [f"  patterns  {', '.join(rules.patterns)}"] if rules.patterns else []
    return "\n".join(lines)
