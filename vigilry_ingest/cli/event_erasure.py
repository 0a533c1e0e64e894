"""``flask events erase`` and ``flask projects delete``: erase events wherever they are."""

import time
from typing import Any

import click
from flask.cli import with_appcontext

from vigilry_ingest.api_keys.projects import archive, delete_project, name_of, project_id_of
from vigilry_ingest.cli.base import Command
from vigilry_ingest.cli.options import correlation_option
from vigilry_ingest.cli.output import (
    broker_client,
    failures_in_one_line,
    json_option,
    print_json,
    progress,
)
from vigilry_ingest.cli.recording import records
from vigilry_ingest.lifecycle.erasure import Counts, Erasure, Subject
from vigilry_ingest.services import services
from vigilry_ingest.storage.audit_log import Change, query_digest, record
from vigilry_ingest.storage.correlations import MAX_LENGTH

# Beyond the time for which keys are cached.
_MARGIN_S = 0.5
# A wait that is announced.
_LONG_S = 3.0

_dry_run_option = click.option("--dry-run", is_flag=True, help="Only count what would be erased.")


@click.command("erase", cls=Command)
@click.option("--project", required=True, help="The project, given by name or id.")
@correlation_option
@_dry_run_option
@json_option
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@with_appcontext
@records("events.erase")
@failures_in_one_line
def erase_command(project: str, correlation: dict[str, str], dry_run: bool, as_json: bool, yes: bool) -> None:
    """Erase the events of a person.

    Erases the events of a project with a --correlation, such as user_id=usr_9: from the database, from the
    streams, read or unread and for every group, and from the dead letters. Then looks again.
    """
    if not correlation:
        raise click.UsageError("Specify --correlation NAME=VALUE, one or several.")
    if any(len(text) > MAX_LENGTH for pair in correlation.items() for text in pair):
        raise click.UsageError(f"Events are found by names and values of at most {MAX_LENGTH} characters.")
    project_id = project_id_of(services().engine, project)
    with broker_client() as client:
        erasure = _erasure(client, Subject(project_id, correlation))
        counts = erasure.count()
        if not dry_run:
            if any(counts) and not yes:
                click.confirm(f"Erase {_text(counts)}? They cannot be restored.", abort=True)
            _record(project_id, counts, correlation)
            counts = _erase(erasure, counts)
    _report(counts, as_json=as_json, is_dry_run=dry_run)


@click.command("delete", cls=Command)
@click.argument("project")
@_dry_run_option
@json_option
@click.option("--confirm", metavar="NAME", help="The name of the project, instead of typing it.")
@with_appcontext
@records("project.archive", "events.erase", "project.delete")
@failures_in_one_line
def delete_project_command(project: str, dry_run: bool, as_json: bool, confirm: str | None) -> None:
    """Delete PROJECT with all of its events.

    PROJECT is a name or an id. Erases its events as `flask events erase` does, its keys, and its sources with
    their secrets. Its keys are rejected within VIGILRY_KEY_CACHE_TTL_S.
    """
    engine = services().engine
    subject = Subject(project_id_of(engine, project), {})
    with broker_client() as client:
        erasure = _erasure(client, subject)
        counts = erasure.count()
        if not dry_run:
            _confirm_name(subject.project_id, counts, confirm)
            # First, so that no event arrives meanwhile, except from keys that are still cached.
            archive(engine, subject.project_id, is_archived=True)
            _wait_for_caches()
            _record(subject.project_id, counts, {})
            counts = _erase(erasure, counts)
            delete_project(engine, subject.project_id)
    _report(counts, as_json=as_json, is_dry_run=dry_run)


def _erasure(client: Any, subject: Subject) -> Erasure:
    return Erasure(services().engine, client, services().config.stream_partitions, subject)


def _record(project_id: str, counts: Counts, query: dict[str, str]) -> None:
    """Record what is erased next; the query, which names a person, only by its digest."""
    digest = query_digest(query) if query else None
    after = {"query_sha256": digest} | counts._asdict()
    record(services().engine, Change("events.erase", project_id, project_id, None, after))


def _confirm_name(project_id: str, counts: Counts, given: str | None) -> None:
    name = name_of(services().engine, project_id)
    if given is None:
        click.echo(f"This deletes {name} with {_text(counts)}. They cannot be restored.", err=True)
        given = click.prompt("Type the name of the project to delete it", err=True)
    if given != name:
        raise click.ClickException(f"{given!r} is not the name of the project, {name}; nothing is deleted.")


def _wait_for_caches() -> None:
    """Wait until no web worker takes events by a cached key or source any more."""
    seconds = services().config.key_cache_ttl_s + _MARGIN_S
    if seconds > _LONG_S:
        click.echo(f"Waiting {seconds:.0f} s until no worker has the keys in its cache.", err=True)
    time.sleep(seconds)


def _erase(erasure: Erasure, found: Counts) -> Counts:
    """Erase, and return what was; exit with code 1 if a second look finds more."""
    erased = Counts(0, 0, 0)
    with progress("Erasing", sum(found)) as step:
        for each in erasure.run():
            erased += each
            step(sum(each))
    if any(left := erasure.count()):
        raise click.ClickException(
            f"{_text(left)} were stored meanwhile: run the command again. A worker that cannot reach the "
            "database holds events for as long."
        )
    return erased


def _report(counts: Counts, *, as_json: bool, is_dry_run: bool) -> None:
    if as_json:
        print_json(counts._asdict() | {"dry_run": is_dry_run})
    else:
        click.echo(f"{_text(counts)} {'would be erased' if is_dry_run else 'erased; none is left'}.")


def _text(counts: Counts) -> str:
    return (
        f"{counts.events:,} stored events, {counts.entries:,} entries of streams and "
        f"{counts.dead_letters:,} dead letters"
    )
