"""Keys of administrators for the admin API: mint, list and revoke."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Engine, select

from vigilry_ingest.api_keys.format import digest_of, hint_of, new_admin_key
from vigilry_ingest.domain.ids import new_id
from vigilry_ingest.storage.audit_log import Change, append, changes_on, recorded, state_of
from vigilry_ingest.storage.engine import session_on
from vigilry_ingest.storage.models import AdminKey

READ = "read"
PROJECTS = "projects"
KEYS = "keys"
SOURCES = "sources"
AUDIT = "audit"
ADMIN_SCOPES = {
    READ: "list and show projects, keys and sources",
    PROJECTS: "the same for projects, and create, change and delete them",
    KEYS: "the same for keys, and mint, rotate and revoke them",
    SOURCES: "the same for sources, and add, change and remove them",
    AUDIT: "list and verify the audit trail",
}
DEFAULT_LIFETIME = timedelta(days=90)

_SEPARATOR = ","


class MintedAdminKey(NamedTuple):
    """A new key; the only time that the key itself is available."""

    admin_key: str
    row: AdminKey


class UnknownAdminKey(LookupError):
    """No admin key has this id."""


class AdminKeyNameTaken(ValueError):
    """Another live admin key has this name, by which the audit log knows it."""


def mint_admin_key(
    engine: Engine, name: str, scopes: Sequence[str], *, lifetime: timedelta = DEFAULT_LIFETIME
) -> MintedAdminKey:
    """Make a key for an administrator, or for configuration management.

    Raises AdminKeyNameTaken, DatabaseError.
    """
    now = datetime.now(UTC)
    key = new_admin_key()
    row = AdminKey(
        id=new_id("adm"),
        name=name,
        hint=hint_of(key),
        digest=digest_of(key),
        scopes=_SEPARATOR.join(scope for scope in ADMIN_SCOPES if scope in scopes),
        created_at=now,
        expires_at=now + lifetime,
    )
    with changes_on(engine) as session:
        others = session.scalars(select(AdminKey).where(AdminKey.name == name))
        if any(is_usable(other, now) for other in others):
            raise AdminKeyNameTaken(name)
        session.add(row)
        append(session, Change("admin_key.mint", row.id, after=state_of(row)))
    return MintedAdminKey(key, row)


def list_admin_keys(engine: Engine) -> list[AdminKey]:
    """Return all keys, the oldest first.

    Raises DatabaseError.
    """
    with session_on(engine) as session:
        return list(session.scalars(select(AdminKey).order_by(AdminKey.id)))


def revoke_admin_key(engine: Engine, key_id: str) -> AdminKey:
    """Revoke a key, if it is not revoked already.

    Raises UnknownAdminKey, DatabaseError.
    """
    with changes_on(engine) as session:
        row = session.get(AdminKey, key_id)
        if row is None:
            raise UnknownAdminKey(key_id)
        with recorded(session, "admin_key.revoke", row):
            row.revoked_at = row.revoked_at or datetime.now(UTC)
        return row


def is_usable(row: AdminKey, now: datetime) -> bool:
    """Return whether a key is neither revoked nor expired."""
    return row.revoked_at is None and row.expires_at > now


def admin_scopes_of(row: AdminKey) -> list[str]:
    """Return the scopes of a key."""
    return row.scopes.split(_SEPARATOR)
