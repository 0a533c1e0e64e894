"""The option ``--server``, by which commands use an admin API instead of the database."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from vigilry_ingest.administration.database.audit import DatabaseAuditTrail
from vigilry_ingest.administration.database.keys import DatabaseKeys
from vigilry_ingest.administration.database.projects import DatabaseProjects
from vigilry_ingest.administration.database.sources import DatabaseSources
from vigilry_ingest.administration.protocols import Administration
from vigilry_ingest.administration.records import Page
from vigilry_ingest.administration.remote import administration_at
from vigilry_ingest.administration.remote.client import AdminClient
from vigilry_ingest.cli.output import progress
from vigilry_ingest.config.parsers import server_or_none
from vigilry_ingest.services import services

Record = TypeVar("Record")

PAGE = 1000

_SERVER = "vigilry.server"


def _remember(context: click.Context, _option: click.Parameter, given: str | None) -> None:
    if given is not None:
        try:
            context.meta[_SERVER] = server_or_none(given)
        except ValueError as error:
            raise click.BadParameter(f"{error}.") from None


server_option = click.option(
    "--server", metavar="URL", expose_value=False, callback=_remember,
    help="Use the admin API at this URL, with VIGILRY_ADMIN_KEY.  [default: VIGILRY_SERVER]",
)  # fmt: skip


def server() -> str:
    """Return the URL of the admin API that the current command uses, or an empty text for the database."""
    given: str | None = click.get_current_context().meta.get(_SERVER)
    return services().config.server if given is None else given


def administration() -> Administration:
    """Return what the current command administers: the database, or the admin API of ``--server``.

    Raises AdministrationError.
    """
    parts = services()
    if url := server():
        return administration_at(AdminClient(url, parts.config.admin_key))
    return Administration(
        DatabaseProjects(parts.engine, parts.config, announce=_announce, progress=progress),
        DatabaseKeys(parts.engine, parts.config),
        DatabaseSources(parts.engine, parts.secrets, parts.config),
        DatabaseAuditTrail(parts.engine),
    )


def every(page: Callable[[str, int], Page[Record]], order: Callable[[Record], Any]) -> list[Record]:
    """Return the records of all pages in an order."""
    found: list[Record] = []
    after: str | None = ""
    while after is not None:
        part = page(after, PAGE)
        found += part.items
        after = part.next
    return sorted(found, key=order)


def _announce(text: str) -> None:
    click.echo(text, err=True)
