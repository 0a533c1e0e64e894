"""The audit trail through an admin API."""

from vigilry_ingest.administration.records import AuditRecord, AuditVerification, Page
from vigilry_ingest.administration.remote.client import AdminClient, path_of
from vigilry_ingest.storage.audit_queries import AuditFilter


class RemoteAuditTrail:
    """The audit trail of an admin API."""

    def __init__(self, client: AdminClient) -> None:
        self._client = client

    def page(self, wanted: AuditFilter, before: int | None, limit: int) -> Page[AuditRecord]:
        """Return a part of the changes, newest first."""
        query = {
            "project": wanted.project_id,
            "action": wanted.action,
            "actor": wanted.actor,
            "since": wanted.since and wanted.since.isoformat(),
            "until": wanted.until and wanted.until.isoformat(),
            "after": before,
            "limit": limit,
        }
        return self._client.request(Page[AuditRecord], "GET", path_of("audit"), query=query)

    def verify(self, expected_head: str | None) -> AuditVerification:
        """Check that no change was altered or removed."""
        query = {"expect_head": expected_head}
        return self._client.request(AuditVerification, "GET", path_of("audit", "verify"), query=query)
