"""The registry of event kinds: endpoints, batches, metrics, specs and CLI options read it."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import marshmallow

from vigilry_ingest.domain.event import Event, EventMetadata
from vigilry_ingest.domain.json_object import JsonObject

# What an item of a batch is when it names no kind.
DEFAULT_KIND = "event"

EventBuilder = Callable[[JsonObject, EventMetadata], Event]


class EventKind(NamedTuple):
    """A kind of event.

    Parameters:
        name: the entry's ``kind``, and an item's in a batch
        path: the path of its endpoint
        schema: what its body may have
        build: makes the event of a body; raises InvalidEvent with every fault
        example: a body that is accepted, for the specs and pages
        label: what sending one is called, such as "Send an event"
        operation: the OpenAPI operation's id, and ``component`` the name of its schema there
        id_member: the body's member that identifies the event by itself, so that a repeat is stored once
    """

    name: str
    path: str
    schema: type[marshmallow.Schema]
    build: EventBuilder
    example: dict[str, Any]
    label: str
    operation: str
    component: str
    id_member: str | None = None


_kinds: dict[str, EventKind] = {}


def register(kind: EventKind) -> EventKind:
    """Add a kind to the registry.

    Raises ValueError when its name or path is taken.
    """
    if any(kind.name == other.name or kind.path == other.path for other in _kinds.values()):
        raise ValueError(f"An event kind with the name {kind.name} or the path {kind.path} exists already.")
    _kinds[kind.name] = kind
    return kind


def event_kinds() -> Mapping[str, EventKind]:
    """Return every kind by its name, in the order of registration."""
    return _kinds


def kind_at(path: str) -> EventKind | None:
    """Return the kind whose endpoint has a path, or None."""
    return next((kind for kind in _kinds.values() if kind.path == path), None)
