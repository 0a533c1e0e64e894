"""The audit log: who changed what, in rows that are chained by digest."""

import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, LargeBinary, select, text
from sqlalchemy.orm import Session

from vigilry_ingest.domain.actor import current_actor
from vigilry_ingest.storage.engine import session_on
from vigilry_ingest.storage.models import AdminKey, ApiKey, AuditEntry, Project, Source

# What the first row is chained over.
NO_DIGEST = "0" * 64

# Advisory locks are identified by numbers.
_LOCK = zlib.crc32(b"vigilry-ingest audit log")
# The visible start of a key is part of its text, and uses are not changes.
_LEFT_OUT = ("hint", "last_used_at")

State = Mapping[str, Any]
Row = Project | ApiKey | AdminKey | Source


class Change(NamedTuple):
    """A change: a dotted action on an id; ``before`` and ``after`` never hold a secret or event data."""

    action: str
    target_id: str
    project_id: str | None = None
    before: State | None = None
    after: State | None = None


@contextmanager
def changes_on(engine: Engine) -> Iterator[Session]:
    """Open a session as ``session_on`` does, which others that record a change wait for.

    Raises DatabaseError.
    """
    with session_on(engine) as session:
        lock_audit_log(session.connection())
        yield session


def lock_audit_log(connection: Connection) -> None:
    """Make others that record a change wait until the end of the transaction, so that the chain has no forks.

    It needs no right on the table besides reading and inserting. Call it before anything else is locked.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    else:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def append(session: Session, *changes: Change) -> None:
    """Append changes by the current actor; the session is one of ``changes_on``."""
    newest = select(AuditEntry.id, AuditEntry.digest).order_by(AuditEntry.id.desc()).limit(1)
    id_, digest = session.execute(newest).one_or_none() or (0, NO_DIGEST)
    actor, now = current_actor(), datetime.now(UTC)
    for change in changes:
        id_ += 1
        entry = AuditEntry(
            id=id_,
            at=now,
            actor=actor,
            action=change.action,
            target_id=change.target_id,
            project_id=change.project_id,
            before=_canonical(change.before),
            after=_canonical(change.after),
        )
        entry.digest = digest = digest_of(entry, digest)
        session.add(entry)
    session.flush()


def record(engine: Engine, *changes: Change) -> None:
    """Append changes that are tried next, outside of the database or in several transactions.

    Raises DatabaseError, and then nothing must be changed.
    """
    with changes_on(engine) as session:
        append(session, *changes)


@contextmanager
def recorded(session: Session, action: str, row: Row, *, only_if_changed: bool = False) -> Iterator[None]:
    """Append what the block changes in a row, by default also if that is nothing."""
    before = state_of(row)
    yield
    after = state_of(row)
    changed = [name for name in before if before[name] != after[name]]
    if changed or not only_if_changed:
        states = _some(before, changed), _some(after, changed)
        append(session, Change(action, row.id, project_id_of(row), *states))


def project_id_of(row: Row) -> str | None:
    """Return the id of the project that a row is of, or None."""
    if isinstance(row, Project):
        return row.id
    return None if isinstance(row, AdminKey) else row.project_id


def state_of(row: Row) -> dict[str, Any]:
    """Return the fields of a row, except the binary ones: digests of keys and encrypted secrets."""
    columns = type(row).__table__.columns
    state = {
        column.key: _plain(getattr(row, column.key))
        for column in columns
        if not isinstance(column.type, LargeBinary) and column.key not in _LEFT_OUT
    }
    if isinstance(row, Source):
        state["secrets"] = [{"id": each.id, "expires_at": _plain(each.expires_at)} for each in row.secrets]
    return state


def digest_of(entry: AuditEntry, previous: str) -> str:
    """Return the SHA-256 of the previous row's digest and the canonical form of a row, in hexadecimal."""
    fields = {
        "id": entry.id,
        "at": entry.at.astimezone(UTC).isoformat(timespec="microseconds"),
        "actor": entry.actor,
        "action": entry.action,
        "target_id": entry.target_id,
        "project_id": entry.project_id,
        "before": entry.before,
        "after": entry.after,
    }
    return hashlib.sha256(f"{previous}\n{_canonical(fields)}".encode()).hexdigest()


def query_digest(query: Mapping[str, str]) -> str:
    """Return the SHA-256 of a query, which may name a person, in hexadecimal."""
    return hashlib.sha256((_canonical(query) or "").encode()).hexdigest()


def _canonical(state: State | None) -> str | None:
    # In ASCII, sorted and without spaces: the same text for the same state.
    return None if state is None else json.dumps(state, sort_keys=True, separators=(",", ":"))


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _some(state: State, names: Iterable[str]) -> dict[str, Any]:
    return {name: state[name] for name in names}
