"""``flask admin serve``: the admin API, a process of its own."""

import click

from vigilry_ingest.cli.base import Group
from vigilry_ingest.config.settings import ConfigError
from vigilry_ingest.server.admin_server import AdminServer
from vigilry_ingest.services import services

admin_group = Group("admin", help="Serve the admin API.")


@admin_group.command("serve")
def serve_command() -> None:
    """Serve the admin API on VIGILRY_ADMIN_BIND.

    Runs until TERM or Ctrl-C. Senders must not reach this address: let it listen on this host, and give
    administrators a tunnel or a proxy with TLS.
    """
    try:
        server = AdminServer(services().config)
    except ConfigError as error:
        raise click.ClickException(f"{error}.") from error
    server.run()
