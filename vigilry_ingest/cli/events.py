"""``flask events``: looking at what is on the streams."""

import json

import click
from flask.cli import AppGroup

from vigilry_ingest.cli.people import failures_in_one_line, json_option
from vigilry_ingest.event import Event
from vigilry_ingest.services import services
from vigilry_ingest.stream.reader import Reader

_COLOURS = {"INFO": "blue", "WARN": "yellow", "ERROR": "red", "CRITICAL": "bright_red"}

_ONE_LINE = str.maketrans("\r\n", "  ")

events_group = AppGroup("events", help="Events on the streams.")


@events_group.command("tail")
@click.option(
    "-n", "--last", type=click.IntRange(0, 10_000), default=10, show_default=True,
    help="How many of the newest events to show first.",
)  # fmt: skip
@json_option
@failures_in_one_line
def tail_command(last: int, as_json: bool) -> None:
    """Show the newest events, then each new one as it comes, until Ctrl-C."""
    config = services().config
    reader = Reader(
        config.redis_url, partitions=config.stream_partitions, timeout_s=config.publish_timeout_ms / 1000
    )
    for job_id, event in reader.follow(last):
        click.echo(_as_json(job_id, event) if as_json else _as_line(job_id, event))


def _as_line(job_id: str, event: Event) -> str:
    severity = click.style(f"{event.severity:<8}", fg=_COLOURS.get(event.severity))
    parts = [
        click.style(event.received_at, dim=True),
        severity,
        click.style(_printable(event.type), bold=True),
        _printable(event.message),
        click.style(f"{_printable(event.source)} " if event.source else "", fg="cyan")
        + click.style(f"{event.kind} {job_id}", dim=True),
    ]
    return "  ".join(parts)


def _printable(text: str) -> str:
    """Keep a sender's text on its one line, and its control characters off the operator's terminal."""
    return "".join(character if character.isprintable() else "·" for character in text[:500])


def _as_json(job_id: str, event: Event) -> str:
    """Write an event as one JSON line, its payload and correlation as they came."""
    text = {"jobId": job_id}
    members = []
    for name in event.__struct_fields__:
        value = getattr(event, name)
        if isinstance(value, bytes):
            # A line break in JSON text stands between tokens, never within one.
            members.append(f', "{name}": {value.decode().translate(_ONE_LINE)}')
        elif value is not None:
            text[name] = value
    return json.dumps(text, ensure_ascii=False)[:-1] + "".join(members) + "}"
