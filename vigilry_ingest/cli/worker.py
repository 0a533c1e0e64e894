"""``flask worker``: process the events of a consumer group."""

import importlib
import logging
import signal
from types import FrameType
from typing import Any

import click
from flask.cli import with_appcontext

from vigilry_ingest.services import services
from vigilry_ingest.store.writer import Store
from vigilry_ingest.stream.consumer import Consumer, Handler, Limits
from vigilry_ingest.stream.names import DEFAULT_GROUP


@click.command("worker")
@click.option(
    "--group", default=DEFAULT_GROUP, show_default=True, help="The consumer group; each gets every event."
)
@click.option(
    "--handler",
    "name",
    metavar="MODULE:FUNCTION",
    help="What to call with each batch of events.  [default: store them in the database]",
)
@click.option(
    "--batch", type=click.IntRange(1, 10_000), default=Limits().batch, show_default=True,
    help="Most events in one call of the handler.",
)  # fmt: skip
@click.option(
    "--deliveries", type=click.IntRange(2, 1000), default=Limits().deliveries, show_default=True,
    help="Tries before an event that fails by itself goes to the dead letters.",
)  # fmt: skip
@click.option(
    "--handler-timeout", type=click.FloatRange(1), default=Limits().handler_s, show_default=True,
    help="Seconds after which a call of the handler counts as hung, and this worker ends.",
)  # fmt: skip
@with_appcontext
def worker_command(group: str, name: str | None, batch: int, deliveries: int, handler_timeout: float) -> None:
    """Process the events of a group.

    Until TERM or Ctrl-C, which let it finish the batch in hand.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    parts = services()
    handler = Store(parts.engine).write if name is None else _load(name)
    consumer = Consumer(
        parts.config.redis_url,
        handler,
        group=group,
        partitions=parts.config.stream_partitions,
        limits=Limits(batch, deliveries, handler_timeout),
    )

    def stop(_signal: int, _frame: FrameType | None) -> None:
        consumer.stop()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    logging.info("worker of group %s begins", group)
    consumer.run()
    logging.info("worker of group %s has ended", group)


def _load(name: str) -> Handler:
    module_name, _, function_name = name.partition(":")
    try:
        handler: Any = getattr(importlib.import_module(module_name), function_name)
    except (ImportError, AttributeError, ValueError) as error:
        raise click.BadParameter(f"{name} cannot be imported: {error}", param_hint="--handler") from error
    if not callable(handler):
        raise click.BadParameter(f"{name} is not a function.", param_hint="--handler")
    return handler  # type: ignore[no-any-return]  # it was looked up by name
