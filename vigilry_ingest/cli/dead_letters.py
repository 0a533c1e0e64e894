"""``flask events dead``: list, show, retry and drop dead letters."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import click

from vigilry_ingest.cli.base import Group
from vigilry_ingest.cli.event_format import json_of, page_of, printable
from vigilry_ingest.cli.output import (
    broker_client,
    failures_in_one_line,
    json_option,
    print_json,
    print_json_line,
    print_list,
    progress,
)
from vigilry_ingest.cli.recording import records
from vigilry_ingest.services import services
from vigilry_ingest.storage.audit_log import Change, record
from vigilry_ingest.stream.consuming.dead_letters import (
    DeadLetter,
    dead_letters,
    drop,
    find_dead_letter,
    requeue,
)

dead_group = Group("dead", help="Manage dead letters: events that a group failed to process.")

# Dead letters that are recorded in one transaction.
_BATCH = 500
_DONE = {"retry": "retried", "drop": "dropped"}

_all_option = click.option("--all", "is_all", is_flag=True, help="All dead letters.")
_group_option = click.option("--group", help="Only dead letters of this consumer group.")
_ids_argument = click.argument("ids", nargs=-1, metavar="DEAD_ID…")


@dead_group.command("list")
@_group_option
@json_option
@failures_in_one_line
def list_command(group: str | None, as_json: bool) -> None:
    """List dead letters with their reasons."""
    with broker_client() as client:
        letters = list(_of_group(_letters(client), group))
    print_list(
        letters,
        as_json=as_json,
        to_object=_summary,
        columns=("DEAD ID", "JOB", "GROUP", "DIED", "TRIES", "REASON"),
        to_cells=_cells,
        if_none="There are no dead letters.",
    )


@dead_group.command("show")
@click.argument("id_", metavar="DEAD_ID")
@json_option
@failures_in_one_line
def show_command(id_: str, as_json: bool) -> None:
    """Show a dead letter with its event."""
    with broker_client() as client:
        letter = _find(client, id_)
    event = letter.event()
    if as_json:
        if event is None:
            print_json(_summary(letter))
        else:
            print_json_line(json_of(letter.job_id, event, _summary(letter)))
        return
    for name, value in _summary(letter).items():
        click.echo(f"{click.style(f'{name:<16}', dim=True)} {printable(str(value))}")
    if event is not None:
        click.echo(page_of(letter.job_id, event, None))
        return
    for field, text in letter.entry.items():
        shown = printable(text.decode("utf-8", "replace"))
        click.echo(f"{click.style(printable(field.decode('utf-8', 'replace')), dim=True)} {shown}")


@dead_group.command("retry")
@_ids_argument
@_all_option
@_group_option
@json_option
@records("dead.retry")
@failures_in_one_line
def retry_command(ids: tuple[str, ...], is_all: bool, group: str | None, as_json: bool) -> None:
    """Requeue dead letters.

    Only their own group receives them again, with the same jobId.
    """
    _apply(ids, is_all, group, as_json, requeue, "retry")


@dead_group.command("drop")
@_ids_argument
@_all_option
@_group_option
@json_option
@records("dead.drop")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@failures_in_one_line
def drop_command(ids: tuple[str, ...], is_all: bool, group: str | None, as_json: bool, yes: bool) -> None:
    """Delete dead letters."""
    if not yes:
        click.confirm("Their group will never receive these events. Delete them?", abort=True)
    _apply(ids, is_all, group, as_json, drop, "drop")


def _apply(
    ids: tuple[str, ...], is_all: bool, group: str | None, as_json: bool,
    change: Callable[[Any, DeadLetter], bool], verb: str,
) -> None:  # fmt: skip
    if bool(ids) == is_all:
        raise click.UsageError("Specify either dead letter ids or --all.")
    done = _DONE[verb]
    count = 0
    with broker_client() as client:
        letters = [_find(client, id_) for id_ in ids] if ids else list(_of_group(_letters(client), group))
        with progress(done.capitalize(), len(letters)) as step:
            for start in range(0, len(letters), _BATCH):
                some = letters[start : start + _BATCH]
                record(services().engine, *(_change(f"dead.{verb}", each) for each in some))
                for letter in some:
                    count += change(client, letter)
                    step(1)
    if as_json:
        print_json({done: count})
    else:
        click.echo(f"{count:,} {done}.")


def _change(action: str, letter: DeadLetter) -> Change:
    # Without the reason, which may quote the event.
    event = letter.event()
    about = {"job_id": letter.job_id, "group": letter.group, "died_at": letter.died_at}
    return Change(action, letter.id, None if event is None else event.project_id, before=about)


def _letters(client: Any) -> Iterator[DeadLetter]:
    return dead_letters(client, services().config.stream_partitions)


def _of_group(letters: Iterable[DeadLetter], group: str | None) -> Iterator[DeadLetter]:
    return (letter for letter in letters if group in (None, letter.group))


def _find(client: Any, id_: str) -> DeadLetter:
    letter = find_dead_letter(client, id_)
    if letter is None:
        raise click.ClickException(f"No dead letter has the id {id_}: see `flask events dead list`.")
    return letter


def _cells(letter: DeadLetter) -> tuple[str, ...]:
    return (
        letter.id, letter.job_id, letter.group, letter.died_at, str(letter.deliveries),
        printable(letter.reason),
    )  # fmt: skip


def _summary(letter: DeadLetter) -> dict[str, Any]:
    return {
        "deadId": letter.id,
        "jobId": letter.job_id,
        "group": letter.group,
        "reason": letter.reason,
        "deliveries": letter.deliveries,
        "diedAt": letter.died_at,
    }
