"""Administration through an admin API, which needs neither the database nor the broker."""

from vigilry_ingest.administration.protocols import Administration
from vigilry_ingest.administration.remote.audit import RemoteAuditTrail
from vigilry_ingest.administration.remote.client import AdminClient
from vigilry_ingest.administration.remote.keys import RemoteKeys
from vigilry_ingest.administration.remote.projects import RemoteProjects
from vigilry_ingest.administration.remote.sources import RemoteSources


def administration_at(client: AdminClient) -> Administration:
    """Return the administration of an admin API."""
    return Administration(
        RemoteProjects(client), RemoteKeys(client), RemoteSources(client), RemoteAuditTrail(client)
    )
