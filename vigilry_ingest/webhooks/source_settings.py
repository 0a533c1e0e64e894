"""What a source of webhooks is, and why it cannot be that."""

from collections.abc import Mapping
from typing import Any, NamedTuple


class UnknownSource(LookupError):
    """No source has this id."""


class InvalidSecret(ValueError):
    """A secret does not have the form that the provider gives it; the message does not contain it."""


class MissingSecret(ValueError):
    """A new source needs a secret."""


class OtherProvider(ValueError):
    """A source has another provider, which cannot be changed."""

    def __init__(self, source_id: str, provider: str) -> None:
        super().__init__(
            f"{source_id} has this name and the provider {provider}, which cannot change: remove it first."
        )


class AmbiguousSource(ValueError):
    """Several sources of a project have the same name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Several sources of the project have the name {name}: remove all but one.")


class SourceSettings(NamedTuple):
    """What a source is, apart from its secrets.

    Parameters:
        project: the name or id of its project
        environment: the environment of its events
        provider: the name of its provider
        name: the ``source`` of its events, by default the provider's name
        options: what it says about its provider
        severities: severities by event, which override the provider's rule
    """

    project: str
    environment: str
    provider: str
    name: str | None = None
    options: Mapping[str, Any] = {}
    severities: Mapping[str, str] = {}
