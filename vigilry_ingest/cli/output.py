"""Output of the commands: tables and colours on a terminal, JSON for pipes, one line for an error."""

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

from vigilry_ingest.administration.errors import AdministrationError, translated_failures
from vigilry_ingest.administration.request_fields import name_fault
from vigilry_ingest.api.schemas.faults import InvalidEvent
from vigilry_ingest.domain.escaping import escape_unprintable
from vigilry_ingest.services import services
from vigilry_ingest.storage.engine import DatabaseError
from vigilry_ingest.stream.connection.client import open_client
from vigilry_ingest.stream.errors import BrokerError

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
Row = TypeVar("Row")

# The exit code that shells use: 128 and the number of the signal.
INTERRUPTED = 130
_BROKER_TIMEOUT_S = 10.0
_UNLIMITED_WIDTH = 10_000
# Columns that may be wrapped; the others are short, or are there to be copied.
_WRAPPED = {
    "PROJECT", "LIMIT", "CREATED", "EXPIRES", "LAST USED", "NAME", "DIED", "REASON", "FIRST SEEN",
    "LAST SEEN", "MESSAGE", "TIME", "ACTOR", "CHANGE",
}  # fmt: skip
# The width of a date.
_MIN_WRAPPED_WIDTH = 10
_COLUMN_GAP = 2
_COLOURS = {
    "live": "green",
    "expired": "yellow",
    "revoked": "red",
    "archived": "yellow",
    "disabled": "yellow",
}

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def failures_in_one_line(command: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Report errors in one line with exit code 1, without a traceback."""

    @wraps(command)
    def guarded(*args: Arguments.args, **options: Arguments.kwargs) -> Result:
        try:
            with translated_failures():
                return command(*args, **options)
        except DatabaseError as error:
            raise click.ClickException(str(error)) from error
        except BrokerError as error:
            raise click.ClickException(error.detail) from error
        except AdministrationError as error:
            raise click.ClickException(str(error)) from error
        except InvalidEvent as error:
            raise click.ClickException(" ".join(fault.detail for fault in error.faults)) from error

    return guarded


@contextmanager
def broker_client() -> Iterator[Any]:
    """Open a client of the configured broker.

    Raises BrokerError.
    """
    with open_client(services().config.redis_url, timeout_s=_BROKER_TIMEOUT_S) as client:
        yield client


@contextmanager
def progress(label: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show a progress bar on a terminal, and nothing in a pipe; yields a function that adds steps."""
    if not sys.stderr.isatty():
        yield lambda _steps: None
        return
    with click.progressbar(length=total, label=label, file=sys.stderr) as bar:
        yield bar.update


def check_name(name: str, hint: str) -> None:
    """Check that a project's name is printable and cannot be taken for an id.

    Raises BadParameter.
    """
    if fault := name_fault(name):
        raise click.BadParameter(fault, param_hint=hint)


def minute(moment: datetime | None) -> str:
    """Format a time for a table, in UTC and to the minute."""
    return moment.strftime("%Y-%m-%d %H:%M") if moment else ""


def coloured(state: str) -> Text:
    """Return a state in its colour."""
    return Text(state, style=_COLOURS[state])


def print_json(value: Mapping[str, Any]) -> None:
    """Print an object as one line of JSON."""
    print_json_line(json.dumps(value, ensure_ascii=False))


def print_json_line(text: str) -> None:
    """Print one line of JSON; on a terminal with escapes for what could garble it."""
    click.echo(escape_unprintable(text) if sys.stdout.isatty() else text)


def print_list(
    rows: Sequence[Row],
    *,
    as_json: bool,
    to_object: Callable[[Row], Mapping[str, Any]],
    columns: Sequence[str],
    to_cells: Callable[[Row], Sequence[str | Text]],
    if_none: str,
) -> None:
    """Print rows as lines of JSON or as a table, which is replaced by ``if_none`` when it is empty."""
    if as_json:
        for row in rows:
            print_json(to_object(row))
    elif rows:
        print_table(columns, [to_cells(row) for row in rows])
    else:
        click.echo(if_none)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str | Text]]) -> None:
    """Print rows as a table, without truncating anything.

    On a narrow terminal long names and dates are wrapped. If that is not enough, and in a pipe, each row is
    one long line.
    """
    # As Text, because rich would interpret a name such as [red] as markup.
    cells = [[Text(cell) if isinstance(cell, str) else cell for cell in row] for row in (columns, *rows)]
    table = Table(box=None, header_style="bold", pad_edge=False)
    min_width = 0
    for name, *column in zip(columns, *cells, strict=True):
        width = max(cell.cell_len for cell in column)
        table.add_column(name, no_wrap=name not in _WRAPPED, overflow="fold")
        min_width += _COLUMN_GAP + (min(width, _MIN_WRAPPED_WIDTH) if name in _WRAPPED else width)
    for row in cells[1:]:
        table.add_row(*row)
    console = Console()
    if not console.is_terminal or min_width - _COLUMN_GAP > console.width:
        console = Console(width=_UNLIMITED_WIDTH)
    console.print(table)
