"""The registry of event kinds, which endpoints, batches, metrics, specs and CLI options read."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import marshmallow

from vigilry_ingest.domain.event import Event, EventMetadata
from vigilry_ingest.domain.json_object import JsonObject

# The kind of batch items that do not name one.
DEFAULT_KIND = "event"

EventBuilder = Callable[[JsonObject, EventMetadata], Event]


class EventKind(NamedTuple):
    """A kind of event.

    Parameters:
        name: the ``kind`` of stream entries and batch items
        path: the path of the endpoint
        schema: the marshmallow schema of the body
        build: builds the event from a body; raises InvalidEvent with all validation errors
        example: a valid body for the specs and the documentation pages
        label: the summary of the OpenAPI operation, such as "Send an event"
        operation: the OpenAPI operation id
        component: the name of the schema in OpenAPI
        id_member: the member of the body that identifies the event, so that a repeat is stored once
        is_posted: whether the path takes one event as JSON, and so does a batch; else it has its own view
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
    is_posted: bool = True


_kinds: dict[str, EventKind] = {}


def register(kind: EventKind) -> EventKind:
    """Register and return a kind.

    Raises ValueError if its name or path is already registered.
    """
    if any(kind.name == other.name or kind.path == other.path for other in _kinds.values()):
        raise ValueError(
            f"An event kind with the name {kind.name} or the path {kind.path} is already registered."
        )
    _kinds[kind.name] = kind
    return kind


def event_kinds() -> Mapping[str, EventKind]:
    """Return all kinds by name, in order of registration."""
    return _kinds


def posted_kinds() -> Mapping[str, EventKind]:
    """Return the kinds that are sent as JSON, one by one or in a batch, by name in order of registration."""
    return {name: kind for name, kind in _kinds.items() if kind.is_posted}


def kind_at(path: str) -> EventKind | None:
    """Return the kind whose endpoint has this path, or None."""
    return next((kind for kind in _kinds.values() if kind.path == path), None)
