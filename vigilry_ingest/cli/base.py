"""Base classes of the commands: arguments in UTF-8, and output that the terminal can display."""

import codecs
import io
import json
import math
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click
from flask.cli import AppGroup, ScriptInfo
from rich.console import Console

from vigilry_ingest.services import services

Callback = TypeVar("Callback", bound=Callable[..., Any])

_ESCAPED = "vigilry_escaped"
_SERVER_OPTION = "--server"
_OFFLINE = "_offline"


def _escape(error: UnicodeError) -> tuple[str, int]:
    """Escape unencodable characters as in JSON, in which Python's own escapes are invalid."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


codecs.register_error(_ESCAPED, _escape)


class Command(click.Command):
    """A command whose arguments must be UTF-8 and whose output never fails to encode."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse arguments; reject those that are not UTF-8, which neither database nor broker accepts."""
        _configure_output(ctx)
        for argument in args:
            try:
                argument.encode()
            except UnicodeEncodeError:
                raise click.UsageError(f"{argument!a} is not UTF-8.", ctx) from None
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            if error.option_name == _SERVER_OPTION:
                raise click.UsageError(_local_only(ctx), ctx) from None
            raise

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; refuse to if it would use the database although VIGILRY_SERVER is set."""
        takes_server = any(_SERVER_OPTION in parameter.opts for parameter in self.params)
        if not takes_server and not getattr(self.callback, _OFFLINE, False):
            with ctx.ensure_object(ScriptInfo).load_app().app_context():
                if services().config.server:
                    raise click.UsageError(f"{_local_only(ctx)} Unset VIGILRY_SERVER.", ctx)
        return super().invoke(ctx)


def offline(command: Callback) -> Callback:
    """Mark a command that needs neither the database nor the broker."""
    setattr(command, _OFFLINE, True)
    return command


def _local_only(context: click.Context) -> str:
    return f"`{context.command_path}` uses the database or the broker itself, not an admin API (--server)."


class Group(AppGroup):
    """A group of commands."""

    command_class = Command


class FiniteRange(click.FloatRange):
    """A finite number in a range; click accepts NaN in any range, and infinity without an upper bound."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Convert a number."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number


def _configure_output(context: click.Context) -> None:
    # Escape characters that the terminal's encoding lacks, where Python would raise.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors=_ESCAPED)
    # rich respects NO_COLOR (https://no-color.org), click does not.
    if Console().no_color:
        context.color = False
