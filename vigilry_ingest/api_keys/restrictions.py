"""Scopes and origins of API keys, and how they are stored."""

from collections.abc import Collection

from vigilry_ingest.storage.models import ApiKey

SEND = "send"
READ = "read"
SCOPES = (SEND, READ)

_SEPARATOR = ","


def scopes_of(row: ApiKey) -> list[str]:
    """Return the scopes of a key."""
    return list(SCOPES) if row.scopes is None else row.scopes.split(_SEPARATOR)


def origins_of(row: ApiKey) -> list[str]:
    """Return the origins whose pages may use a key; none mean that it is not for pages alone."""
    return [] if row.origins is None else row.origins.split(_SEPARATOR)


def stored_scopes(scopes: Collection[str]) -> str | None:
    """Return the text that stands for scopes, None for all of them."""
    kept = [scope for scope in SCOPES if scope in scopes]
    return None if len(kept) == len(SCOPES) else _SEPARATOR.join(kept)


def stored_origins(origins: Collection[str]) -> str | None:
    """Return the text that stands for origins, None without any."""
    return _SEPARATOR.join(dict.fromkeys(origins)) or None
