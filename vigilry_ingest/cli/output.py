"""How the commands speak: tables and colour on a terminal, JSON for pipes, one clear line for a failure."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vigilry_ingest.api_keys.projects import UnknownProject
from vigilry_ingest.domain.ids import is_id
from vigilry_ingest.services import services
from vigilry_ingest.storage.engine import DatabaseError
from vigilry_ingest.stream.connection.client import open_client
from vigilry_ingest.stream.errors import BrokerError

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
Row = TypeVar("Row")

_BROKER_TIMEOUT_S = 10.0
_NO_TERMINAL_WIDTH = 10_000
LONGEST_NAME = 200
# What may be broken over several lines; all else is there to be copied, or is short.
_BREAKABLE = {"PROJECT", "LIMIT", "CREATED", "EXPIRES", "LAST USED", "NAME", "DIED", "REASON"}
# As wide as a date.
_NARROWEST = 10
_BETWEEN = 2
_COLOURS = {"live": "green", "expired": "yellow", "revoked": "red", "archived": "yellow"}

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


def failures_in_one_line(command: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Let a command end with exit code 1 and one line, not a traceback, when something outside is wrong."""

    @wraps(command)
    def guarded(*args: Arguments.args, **options: Arguments.kwargs) -> Result:
        try:
            return command(*args, **options)
        except DatabaseError as error:
            raise click.ClickException(str(error)) from error
        except BrokerError as error:
            raise click.ClickException(error.detail) from error
        except UnknownProject as error:
            message = f"No project has the name or id {error}: see `flask projects list`."
            raise click.ClickException(message) from error

    return guarded


@contextmanager
def broker_client() -> Iterator[Any]:
    """Open redis-py's client of the configured broker.

    Raises BrokerError.
    """
    with open_client(services().config.redis_url, timeout_s=_BROKER_TIMEOUT_S) as client:
        yield client


@contextmanager
def progress(label: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show a progress bar on a terminal, and nothing in a pipe; yields what to call with each step."""
    if not sys.stderr.isatty():
        yield lambda _steps: None
        return
    with click.progressbar(length=total, label=label, file=sys.stderr) as bar:
        yield bar.update


def check_name(name: str, hint: str) -> None:
    """Refuse a project's name that could not be read or typed, or that would be taken for an id."""
    if not name or len(name) > LONGEST_NAME or not name.isprintable() or name != name.strip():
        message = f"must be 1 to {LONGEST_NAME} printable characters, with no space before or after them."
        raise click.BadParameter(message, param_hint=hint)
    if is_id(name, "proj"):
        message = f"must be a name, and {name} has the form of a project's id."
        raise click.BadParameter(message, param_hint=hint)


def minute(moment: datetime | None) -> str:
    """Write a moment, in UTC, as short as a table wants it."""
    return moment.strftime("%Y-%m-%d %H:%M") if moment else ""


def coloured(state: str) -> Text:
    """Give a state its colour."""
    return Text(state, style=_COLOURS[state])


def print_json(value: Mapping[str, Any]) -> None:
    """Print one object as one line of JSON."""
    click.echo(json.dumps(value, ensure_ascii=False))


def print_list(
    rows: Sequence[Row],
    *,
    as_json: bool,
    to_object: Callable[[Row], Mapping[str, Any]],
    columns: Sequence[str],
    to_cells: Callable[[Row], Sequence[str | Text]],
    if_none: str,
) -> None:
    """Print rows as JSON, a line each, or as a table; a sentence where there are none."""
    if as_json:
        for row in rows:
            print_json(to_object(row))
    elif rows:
        print_table(columns, [to_cells(row) for row in rows])
    else:
        click.echo(if_none)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str | Text]]) -> None:
    """Print rows as a table of which nothing is ever cut.

    Where a terminal is too narrow, long names and dates are broken; where that is not enough, and in a pipe,
    each row is one long line.
    """
    # As text, because rich would take a name such as [red] for its own markup.
    cells = [[Text(cell) if isinstance(cell, str) else cell for cell in row] for row in (columns, *rows)]
    table = Table(box=None, header_style="bold", pad_edge=False)
    least = 0
    for name, *column in zip(columns, *cells, strict=True):
        width = max(cell.cell_len for cell in column)
        table.add_column(name, no_wrap=name not in _BREAKABLE, overflow="fold")
        least += _BETWEEN + (min(width, _NARROWEST) if name in _BREAKABLE else width)
    for row in cells[1:]:
        table.add_row(*row)
    console = Console()
    if not console.is_terminal or least - _BETWEEN > console.width:
        console = Console(width=_NO_TERMINAL_WIDTH)
    console.print(table)
