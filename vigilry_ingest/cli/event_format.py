"""How an event looks: one readable line, or one line of JSON."""

import json
from collections.abc import Mapping
from typing import Any

import click
import msgspec

from vigilry_ingest.domain.event import Event

_COLOURS = {"INFO": "blue", "WARN": "yellow", "ERROR": "red", "CRITICAL": "bright_red"}
_ONE_LINE = str.maketrans("\r\n", "  ")


def line_of(job_id: str, event: Event) -> str:
    """Write an event as one line for people."""
    severity = click.style(f"{event.severity:<8}", fg=_COLOURS.get(event.severity))
    origin = click.style(f"{printable(event.source)} ", fg="cyan") if event.source else ""
    parts = [
        click.style(event.received_at, dim=True),
        severity,
        click.style(printable(event.type), bold=True),
        printable(event.message),
        origin + click.style(f"{event.kind} {job_id}", dim=True),
    ]
    return "  ".join(parts)


def json_of(job_id: str, event: Event, more: Mapping[str, Any] | None = None) -> str:
    """Write an event as one JSON line, its payload and correlation as they came."""
    members = {"jobId": job_id, **(more or {})}
    raw = []
    for name in event.__struct_fields__:
        value = getattr(event, name)
        if isinstance(value, bytes):
            # A line break in JSON text stands between tokens, never within one.
            raw.append(f', "{name}": {value.decode().translate(_ONE_LINE)}')
        elif value is not None:
            members[name] = value
    return json.dumps(members, ensure_ascii=False)[:-1] + "".join(raw) + "}"


def page_of(job_id: str, event: Event, processed_at: str | None) -> str:
    """Write an event as a page: a line for each field, JSON laid out."""
    lines = [("jobId", job_id), ("processed_at", processed_at)]
    for name in event.__struct_fields__:
        value = getattr(event, name)
        lines.append(
            (name, _laid_out(value) if isinstance(value, bytes) else value and printable(value, None))
        )
    return "\n".join(f"{click.style(f'{name:<16}', dim=True)} {value}" for name, value in lines if value)


def _laid_out(text: bytes) -> str:
    """Indent JSON without changing a number, and keep control characters escaped."""
    pretty = msgspec.json.format(text, indent=2).decode()
    return "".join(
        each if each.isprintable() or each == "\n" else "·" for each in pretty.replace("\n", "\n" + " " * 17)
    )


def printable(text: str, most: int | None = 500) -> str:
    """Keep a sender's text on its one line, and its control characters off the operator's terminal."""
    return "".join(character if character.isprintable() else "·" for character in text[:most])
