"""How the commands speak: tables and colour on a terminal, JSON for pipes, one clear line for a failure."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vigilry_ingest.db.session import DatabaseError
from vigilry_ingest.services import services
from vigilry_ingest.stream.errors import PublishError
from vigilry_ingest.stream.servers.client import open_client

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
Row = TypeVar("Row")

_BROKER_TIMEOUT_S = 10.0
_NO_TERMINAL_WIDTH = 10_000
LONGEST_NAME = 200
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
        except PublishError as error:
            raise click.ClickException(error.detail) from error

    return guarded


@contextmanager
def broker_client() -> Iterator[Any]:
    """Open redis-py's client of the configured broker; its failures become one clear line."""
    config = services().config
    try:
        with open_client(config.redis_url, timeout_s=_BROKER_TIMEOUT_S) as client:
            yield client
    except PublishError as error:
        raise click.ClickException(error.detail) from error


@contextmanager
def progress(label: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show a progress bar on a terminal, and nothing in a pipe; yields what to call with each step."""
    if not sys.stderr.isatty():
        yield lambda _steps: None
        return
    with click.progressbar(length=total, label=label, file=sys.stderr) as bar:
        yield bar.update


def check_name(name: str, hint: str) -> None:
    """Refuse a project's name that could not be read or typed."""
    if not name.strip() or len(name) > LONGEST_NAME or not name.isprintable():
        raise click.BadParameter(f"must be 1 to {LONGEST_NAME} printable characters.", param_hint=hint)


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
    columns: Iterable[str],
    to_cells: Callable[[Row], Iterable[str | Text]],
    if_none: str,
) -> None:
    """Print rows as JSON, a line each, or as a table; a sentence where there are none."""
    if as_json:
        for row in rows:
            print_json(to_object(row))
    elif rows:
        print_table("", columns, map(to_cells, rows))
    else:
        click.echo(if_none)


def print_table(title: str, columns: Iterable[str], rows: Iterable[Iterable[str | Text]]) -> None:
    """Print rows as a table that fits the terminal, and that is not cut in a pipe."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=_NO_TERMINAL_WIDTH)
    table = Table(*columns, title=title, title_justify="left", box=None, header_style="bold", pad_edge=False)
    for row in rows:
        # As text, because rich would take a name such as [red] for its own markup.
        table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
    console.print(table)
