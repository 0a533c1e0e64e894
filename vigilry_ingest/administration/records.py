"""What administrators see: the objects of the admin API, and of the commands' ``--json``."""

from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

import msgspec

Record = TypeVar("Record")


class ProjectRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A project and its settings."""

    project_id: str
    project: str
    state: Literal["live", "archived"]
    per_second: int | None
    burst: int | None
    bytes_per_second: int | None
    retention_days: int | None
    scrubbing: dict[str, list[str]] | None
    created_at: datetime
    archived_at: datetime | None


class ListedProject(ProjectRecord, frozen=True, kw_only=True):
    """A project, the number of its live keys, and when one of its keys was last used."""

    live_keys: int
    last_used_at: datetime | None


class KeyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An API key, without the key itself."""

    key_id: str
    hint: str
    project_id: str
    project: str
    environment: str
    name: str | None
    scopes: list[str]
    origins: list[str]
    state: Literal["live", "expired", "revoked", "archived"]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


class MintedKey(msgspec.Struct, frozen=True, kw_only=True):
    """A new API key; the only time that the key itself is available."""

    api_key: str
    key_id: str
    project_id: str
    project: str
    environment: str
    expires_at: datetime | None
    scopes: list[str]
    origins: list[str]
    dsn: str


class RotatedKey(MintedKey, frozen=True, kw_only=True):
    """A key's successor, and when the key itself expires.

    ``younger_key_id`` is set when the key may have been rotated before.
    """

    old_key_id: str
    old_expires_at: datetime
    younger_key_id: str | None


class SecretRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A secret of a source, without the secret itself; the current one does not expire."""

    expires_at: datetime | None


class SourceRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A source of webhooks, without its secrets."""

    source_id: str
    url: str
    provider: str
    project_id: str
    project: str
    environment: str
    name: str
    state: Literal["live", "disabled", "archived"]
    options: dict[str, Any]
    severities: dict[str, str]
    secrets: list[SecretRecord]
    created_at: datetime


class AuditRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the audit log."""

    id: int
    at: datetime
    actor: str
    action: str
    target_id: str
    project_id: str | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    digest: str


class AuditVerification(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the audit log is as it was written, its length, its newest digest, and the first faults."""

    ok: bool
    rows: int
    head: str
    faults: list[str]


class ErasedEvents(msgspec.Struct, frozen=True, kw_only=True):
    """How many events were erased, or would be, at each place; an event can be at several."""

    events: int
    entries: int
    dead_letters: int
    dry_run: bool


class ReencryptedSecrets(msgspec.Struct, frozen=True, kw_only=True):
    """How many secrets there are, and how many of them were encrypted with an older key."""

    secrets: int
    encrypted_again: int


class Page(msgspec.Struct, Generic[Record], frozen=True, kw_only=True):
    """A part of a list; ``next`` is where the following part begins, None at the end."""

    items: list[Record]
    next: str | None


def to_object(record: msgspec.Struct) -> dict[str, Any]:
    """Return a record as a JSON object, with times in RFC 3339."""
    members: dict[str, Any] = _plain(msgspec.to_builtins(record, builtin_types=(datetime,)))
    return members


def _plain(value: Any) -> Any:
    match value:
        case datetime():
            return value.isoformat()
        case dict():
            return {name: _plain(member) for name, member in value.items()}
        case list():
            return [_plain(each) for each in value]
    return value
