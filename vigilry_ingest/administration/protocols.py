"""What can be administered; each protocol has an implementation on the database and one over HTTP.

All methods raise AdministrationError, InvalidEvent for settings that cannot be, and DatabaseError. Lists are
ordered by id, which is by age; ``after`` is the id that precedes a page.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple, Protocol

from vigilry_ingest.administration.records import (
    AuditRecord,
    AuditVerification,
    ErasedEvents,
    KeyRecord,
    ListedProject,
    MintedKey,
    Page,
    ProjectRecord,
    ReencryptedSecrets,
    RotatedKey,
    SourceRecord,
)
from vigilry_ingest.api_keys.project_settings import Settings
from vigilry_ingest.api_keys.restrictions import SCOPES
from vigilry_ingest.storage.audit_queries import AuditFilter
from vigilry_ingest.webhooks.source_settings import SourceSettings


class KeySettings(NamedTuple):
    """What a new API key is; ``lifetime`` is None for one that does not expire."""

    project: str
    environment: str
    name: str | None = None
    lifetime: timedelta | None = None
    scopes: Sequence[str] = SCOPES
    origins: Sequence[str] = ()


class Projects(Protocol):
    """The projects, each given by its name or id."""

    def page(self, after: str, limit: int) -> Page[ListedProject]:
        """Return a part of the projects."""

    def get(self, name_or_id: str) -> ListedProject:
        """Return a project."""

    def change(self, name_or_id: str, settings: Settings) -> ProjectRecord:
        """Change settings of a project."""

    def count_events(self, name_or_id: str) -> ErasedEvents:
        """Count what `delete` would erase."""

    def delete(self, name_or_id: str, confirm: str) -> ErasedEvents:
        """Delete a project with its events, keys and sources; ``confirm`` is its name."""


class Keys(Protocol):
    """The API keys of all projects."""

    def page(self, after: str, limit: int) -> Page[KeyRecord]:
        """Return a part of the keys."""

    def mint(self, settings: KeySettings) -> MintedKey:
        """Make a key, and its project if that does not exist."""

    def rotate(self, key_id: str, *, grace: timedelta, lifetime: timedelta | None) -> RotatedKey:
        """Make the successor of a key, which expires after ``grace``."""

    def revoke(self, key_id: str) -> KeyRecord:
        """Revoke a key."""


class Sources(Protocol):
    """The sources of webhooks of all projects."""

    def page(self, after: str, limit: int) -> Page[SourceRecord]:
        """Return a part of the sources."""

    def get(self, source_id: str) -> SourceRecord:
        """Return a source."""

    def check_secrets_key(self) -> None:
        """Return if it is known that secrets can be encrypted, or if that is not known before."""

    def add(self, settings: SourceSettings, secret: str) -> SourceRecord:
        """Add a source."""

    def rotate(self, source_id: str, secret: str, *, grace: timedelta) -> SourceRecord:
        """Replace the secret of a source, which is valid for ``grace``."""

    def disable(self, source_id: str, *, is_disabled: bool) -> SourceRecord:
        """Disable a source, or enable it again."""

    def remove(self, source_id: str) -> SourceRecord:
        """Remove a source."""

    def reencrypt(self) -> ReencryptedSecrets:
        """Encrypt all secrets with the newest key."""


class AuditTrail(Protocol):
    """The record of all changes."""

    def page(self, wanted: AuditFilter, before: int | None, limit: int) -> Page[AuditRecord]:
        """Return a part of the changes, newest first; ``wanted.project_id`` is a name or an id."""

    def verify(self, expected_head: str | None) -> AuditVerification:
        """Check that no change was altered or removed."""


@dataclass(frozen=True, slots=True)
class Administration:
    """All that can be administered."""

    projects: Projects
    keys: Keys
    sources: Sources
    audit: AuditTrail
