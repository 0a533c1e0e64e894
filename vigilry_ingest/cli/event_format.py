"""Output formats of events: a readable line, a page, or a line of JSON."""

import json
from collections.abc import Mapping
from typing import Any

import click
import msgspec

from vigilry_ingest.domain.event import Event
from vigilry_ingest.domain.json_object import replace_lone_surrogates

_COLOURS = {"INFO": "blue", "WARN": "yellow", "ERROR": "red", "CRITICAL": "bright_red"}
_ONE_LINE = str.maketrans("\r\n\t", "   ")


def line_of(job_id: str, event: Event) -> str:
    """Format an event as one readable line."""
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
    """Format an event as one line of JSON, with payload and correlation as they were sent."""
    members = {"jobId": job_id, **(more or {})}
    raw = []
    for name in event.__struct_fields__:
        value = getattr(event, name)
        if isinstance(value, bytes):
            # In JSON, a line break or a tab can only be between tokens.
            raw.append(f', "{name}": {value.decode().translate(_ONE_LINE)}')
        elif value is not None:
            members[name] = value
    return json.dumps(members, ensure_ascii=False)[:-1] + "".join(raw) + "}"


def page_of(job_id: str, event: Event, processed_at: str | None) -> str:
    """Format an event as a page: a line for each field, and indented JSON."""
    lines = [("jobId", job_id), ("processed_at", processed_at)]
    for name in event.__struct_fields__:
        value = getattr(event, name)
        lines.append(
            (name, _indented(value) if isinstance(value, bytes) else value and printable(value, None))
        )
    return "\n".join(f"{click.style(f'{name:<16}', dim=True)} {value}" for name, value in lines if value)


def _indented(text: bytes) -> str:
    """Indent JSON without changing numbers, and replace unprintable characters."""
    pretty = msgspec.json.format(replace_lone_surrogates(text), indent=2).decode()
    return "".join(
        each if each.isprintable() or each == "\n" else "·" for each in pretty.replace("\n", "\n" + " " * 17)
    )


def printable(text: str, max_length: int | None = 500) -> str:
    """Replace line breaks and control characters, which would garble the operator's terminal."""
    return "".join(character if character.isprintable() else "·" for character in text[:max_length])
