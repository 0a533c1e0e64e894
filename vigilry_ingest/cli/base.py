"""What all commands of ours have in common: words that are text, and output that suits the terminal."""

import codecs
import io
import json
import math
import sys
from typing import Any

import click
from flask.cli import AppGroup
from rich.console import Console

_ESCAPED = "vigilry_escaped"


def _escape(error: UnicodeError) -> tuple[str, int]:
    """Write what an encoding lacks as JSON does, because Python's own escapes are none in JSON."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


codecs.register_error(_ESCAPED, _escape)


class Command(click.Command):
    """A command that takes nothing but text, and writes whatever the terminal can show."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Refuse words that are not UTF-8: the database and the broker could not be asked for them."""
        _suit_terminal(ctx)
        for word in args:
            try:
                word.encode()
            except UnicodeEncodeError:
                raise click.UsageError(f"{word!a} is not UTF-8.", ctx) from None
        return super().parse_args(ctx, args)


class Group(AppGroup):
    """A group of such commands."""

    command_class = Command


class FiniteRange(click.FloatRange):
    """A number within two bounds; to click NaN is within any, and infinity where there is only one."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read a number."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number


def _suit_terminal(context: click.Context) -> None:
    # A sign that the terminal's encoding lacks is shown as its number; Python would end with a traceback.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors=_ESCAPED)
    # rich minds NO_COLOR (https://no-color.org) and click does not.
    if Console().no_color:
        context.color = False
