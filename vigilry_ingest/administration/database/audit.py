"""The audit trail in the database."""

import json
from typing import Any

from sqlalchemy import Engine

from vigilry_ingest.administration.errors import translated_failures
from vigilry_ingest.administration.records import AuditRecord, AuditVerification, Page
from vigilry_ingest.api_keys.projects import project_id_of
from vigilry_ingest.domain.ids import is_id
from vigilry_ingest.storage.audit_queries import AuditFilter, newest_entries, verify
from vigilry_ingest.storage.models import AuditEntry


class DatabaseAuditTrail:
    """The audit log of a database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def page(self, wanted: AuditFilter, before: int | None, limit: int) -> Page[AuditRecord]:
        """Return a part of the changes, newest first."""
        wanted = wanted._replace(project_id=self._project_id(wanted.project_id))
        rows = newest_entries(self._engine, wanted, limit + 1, before=before)
        items = [_record(row) for row in rows[:limit]]
        return Page(items=items, next=str(items[-1].id) if len(rows) > limit else None)

    def verify(self, expected_head: str | None) -> AuditVerification:
        """Check that no change was altered or removed."""
        found = verify(self._engine, expected_head)
        return AuditVerification(
            ok=not found.faults, rows=found.rows, head=found.head, faults=list(found.faults)
        )

    def _project_id(self, name_or_id: str | None) -> str | None:
        # The changes of a deleted project are found by its id.
        if name_or_id is None or is_id(name_or_id, "proj"):
            return name_or_id
        with translated_failures():
            return project_id_of(self._engine, name_or_id)


def _record(entry: AuditEntry) -> AuditRecord:
    return AuditRecord(
        id=entry.id,
        at=entry.at,
        actor=entry.actor,
        action=entry.action,
        target_id=entry.target_id,
        project_id=entry.project_id,
        before=_state(entry.before),
        after=_state(entry.after),
        digest=entry.digest,
    )


def _state(text: str | None) -> dict[str, Any] | None:
    state: dict[str, Any] | None = None if text is None else json.loads(text)
    return state
