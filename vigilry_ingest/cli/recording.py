"""The option ``--as`` of the commands that change something, and the actions that they record."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from vigilry_ingest.domain.actor import MAX_LENGTH, acting_as
from vigilry_ingest.services import services

_ACTIONS = "_recorded_actions"


def records(*actions: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add ``--as`` to a command, and declare the actions that it records in the audit log.

    The code that makes a change appends its row, see ``storage/audit_log.py``; tests run every command and
    compare its rows with the declared actions.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(command)
        def recording(*args: Any, actor: str | None, **options: Any) -> Any:
            name = actor or services().config.actor
            if not name:
                return command(*args, **options)
            with acting_as(name):
                return command(*args, **options)

        setattr(recording, _ACTIONS, actions)
        return click.option(
            "--as", "actor", metavar="NAME", callback=_checked,
            help="Your name in the audit log.  [default: VIGILRY_ACTOR, else user@host]",
        )(recording)  # fmt: skip

    return decorate


def recorded_actions(command: click.Command) -> tuple[str, ...]:
    """Return the actions that a command declares, or none."""
    actions: tuple[str, ...] = getattr(command.callback, _ACTIONS, ())
    return actions


def _checked(_context: click.Context, _option: click.Parameter, given: str | None) -> str | None:
    if given is not None and not (given.strip() and given.isprintable() and len(given) <= MAX_LENGTH):
        raise click.BadParameter(f"must be 1 to {MAX_LENGTH} printable characters.")
    return given
