"""``/admin/audit``: list and verify the audit trail."""

from flask import Blueprint, Response

from vigilry_ingest.administration.queries import AuditQuery, VerificationQuery
from vigilry_ingest.api_keys.admin_keys import AUDIT
from vigilry_ingest.storage.audit_queries import AuditFilter
from vigilry_ingest.web.admin.auth import permits
from vigilry_ingest.web.admin.exchange import query_of, respond
from vigilry_ingest.web.admin.parts import parts

blueprint = Blueprint("audit", __name__)


@blueprint.get("/audit")
@permits(AUDIT)
def list_changes() -> Response:
    """List changes, newest first; ``after`` is the id of the last one of the page before."""
    query = query_of(AuditQuery())
    before, limit, project = query.pop("after"), query.pop("limit"), query.pop("project")
    return respond(parts().audit.page(AuditFilter(project, **query), before, limit))


@blueprint.get("/audit/verify")
@permits(AUDIT)
def verify_changes() -> Response:
    """Check that no change was altered or removed."""
    return respond(parts().audit.verify(query_of(VerificationQuery())["expect_head"]))
