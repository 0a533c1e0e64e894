"""``flask worker``: process the events of a consumer group."""

import importlib
import logging
import signal
from contextlib import nullcontext
from types import FrameType
from typing import Any

import click
from flask.cli import with_appcontext
from prometheus_client import start_http_server
from prometheus_client.registry import Collector

from vigilry_ingest.cli.base import Command, FiniteRange
from vigilry_ingest.domain.handler import Handler
from vigilry_ingest.lifecycle.purging import Purging
from vigilry_ingest.observability.logging_config import configure_logging
from vigilry_ingest.observability.metrics import registry_with
from vigilry_ingest.services import Services, services
from vigilry_ingest.storage.event_writer import Store
from vigilry_ingest.stream.consuming.consumer import Consumer, Limits
from vigilry_ingest.stream.consuming.timing import Timing
from vigilry_ingest.stream.redis_keys import DEFAULT_GROUP, is_group_name

_log = logging.getLogger(__name__)


def _group_name(_context: click.Context, _option: click.Parameter, given: str) -> str:
    if not is_group_name(given):
        raise click.BadParameter(f"{given!r} is not 1 to 100 of A-Z, a-z, 0-9 and . _ : -.")
    return given


def _address(_context: click.Context, _option: click.Parameter, given: str | None) -> tuple[str, int] | None:
    if given is None:
        return None
    host, _, port = given.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65_535:
        raise click.BadParameter(f"{given} is not HOST:PORT.")
    return host.strip("[]"), int(port)


@click.command("worker", cls=Command)
@click.option(
    "--group", default=DEFAULT_GROUP, show_default=True, callback=_group_name,
    help="The consumer group; each group receives every event.",
)  # fmt: skip
@click.option(
    "--handler",
    "name",
    metavar="MODULE:FUNCTION",
    help="The function to call with each batch of events.  [default: store them in the database]",
)
@click.option(
    "--batch", type=click.IntRange(1, 10_000), default=Limits().batch, show_default=True,
    help="Maximum number of events in a call of the handler.",
)  # fmt: skip
@click.option(
    "--deliveries", type=click.IntRange(2, 1000), default=Limits().deliveries, show_default=True,
    help="Attempts before an event becomes a dead letter.",
)  # fmt: skip
@click.option(
    "--handler-timeout", type=FiniteRange(1), default=Limits().handler_s, show_default=True,
    help="Seconds after which a call of the handler is taken to hang, and the worker exits.",
)  # fmt: skip
@click.option(
    "--lease-s", type=FiniteRange(0.5, 300), default=Timing().lease_s, show_default=True,
    help="Seconds after which the partitions of a worker that died go to other workers.",
)  # fmt: skip
@click.option(
    "--metrics", "metrics_address", metavar="HOST:PORT", callback=_address,
    help="Serve the worker's Prometheus metrics on this address.  [default: off]",
)  # fmt: skip
@with_appcontext
def worker_command(
    group: str,
    name: str | None,
    batch: int,
    deliveries: int,
    handler_timeout: float,
    lease_s: float,
    metrics_address: tuple[str, int] | None,
) -> None:
    """Process the events of a consumer group.

    Runs until TERM or Ctrl-C, and finishes the current batch before it exits.
    """
    parts = services()
    configure_logging(parts.config.log_level, parts.config.log_format)
    handler = Store(parts.engine).write if name is None else _load(name)
    if parts.tracing is not None:
        handler = parts.tracing.around(handler, group)
    consumer = Consumer(
        parts.config.redis_url,
        handler,
        group=group,
        partitions=parts.config.stream_partitions,
        limits=Limits(batch, deliveries, handler_timeout),
        timing=Timing(lease_s=lease_s),
    )

    def stop(_signal: int, _frame: FrameType | None) -> None:
        consumer.stop()

    purging = _purging(parts) if name is None else None
    if metrics_address is not None:
        _serve_metrics(*metrics_address, *([purging] if purging else []))
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    _log.info("worker started", extra={"group": group})
    with purging or nullcontext():
        consumer.run()
    _log.info("worker stopped", extra={"group": group})


def _load(name: str) -> Handler:
    module_name, _, function_name = name.partition(":")
    if not all((*module_name.split("."), function_name)):
        raise click.BadParameter(f"{name} is not MODULE:FUNCTION.", param_hint="--handler")
    try:
        handler: Any = getattr(importlib.import_module(module_name), function_name)
    except (ImportError, AttributeError) as error:
        raise click.BadParameter(f"{name} cannot be imported: {error}", param_hint="--handler") from error
    if not callable(handler):
        raise click.BadParameter(f"{name} is not a function.", param_hint="--handler")
    return handler  # type: ignore[no-any-return]  # looked up by name


def _purging(parts: Services) -> Purging:
    """Return the purging of what the default handler stores."""
    config = parts.config
    return Purging(
        parts.engine,
        config.redis_url,
        partitions=config.stream_partitions,
        default_days=config.retention_days,
        partition_period=config.partition_period,
    )


def _serve_metrics(host: str, port: int, *collectors: Collector) -> None:
    try:
        start_http_server(port, host, registry_with(*collectors))
    except OSError as error:
        raise click.ClickException(f"Cannot listen on --metrics {host}:{port}: {error}.") from error
