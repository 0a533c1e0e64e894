"""Reading and verifying the audit log."""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Engine, select

from vigilry_ingest.storage.audit_log import NO_DIGEST, digest_of
from vigilry_ingest.storage.engine import session_on
from vigilry_ingest.storage.models import AuditEntry

_PAGE = 1000
_MAX_FAULTS = 20


class AuditFilter(NamedTuple):
    """Which entries to list: those from ``since``, and before ``until``; None for any."""

    project_id: str | None = None
    action: str | None = None
    actor: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class Verification(NamedTuple):
    """The number of rows, the newest digest, and the first faults in words."""

    rows: int
    head: str
    faults: tuple[str, ...]


def newest_entries(
    engine: Engine, wanted: AuditFilter, limit: int, *, before: int | None = None
) -> list[AuditEntry]:
    """Return entries, newest first, from the one before an id.

    Raises DatabaseError.
    """
    query = select(AuditEntry).order_by(AuditEntry.id.desc()).limit(limit)
    for column, value in (
        (AuditEntry.project_id, wanted.project_id),
        (AuditEntry.action, wanted.action),
        (AuditEntry.actor, wanted.actor),
    ):
        if value is not None:
            query = query.where(column == value)
    if before is not None:
        query = query.where(AuditEntry.id < before)
    if wanted.since is not None:
        query = query.where(AuditEntry.at >= wanted.since)
    if wanted.until is not None:
        query = query.where(AuditEntry.at < wanted.until)
    with session_on(engine) as session:
        return list(session.scalars(query))


def verify(engine: Engine, expected_head: str | None = None) -> Verification:
    """Check that no row was altered or is missing, and that a row has the digest ``expected_head``.

    Without such a digest from before, missing newest rows cannot be found. Raises DatabaseError.
    """
    faults: list[str] = []
    rows, last_id, head = 0, 0, NO_DIGEST
    is_expected = expected_head in (None, NO_DIGEST)
    for entry in _oldest_first(engine):
        if entry.id != last_id + 1:
            faults.append(_missing(last_id + 1, entry.id - 1))
            # What the row is chained over is missing too, so only its digest and the later rows say more.
        elif entry.digest != digest_of(entry, head):
            faults.append(f"Row {entry.id} was altered, or the one before it.")
        is_expected = is_expected or entry.digest == expected_head
        rows, last_id, head = rows + 1, entry.id, entry.digest
    if not is_expected:
        faults.append(f"No row has the digest {expected_head}: the newest rows are missing, or were altered.")
    return Verification(rows, head, tuple(faults[:_MAX_FAULTS]))


def _missing(first: int, last: int) -> str:
    return f"Row {first} is missing." if first == last else f"Rows {first} to {last} are missing."


def _oldest_first(engine: Engine) -> Iterator[AuditEntry]:
    # By page, so that no transaction is open for long.
    last_id = -1
    while True:
        query = select(AuditEntry).where(AuditEntry.id > last_id).order_by(AuditEntry.id).limit(_PAGE)
        with session_on(engine) as session:
            page = list(session.scalars(query))
        yield from page
        if len(page) < _PAGE:
            return
        last_id = page[-1].id
