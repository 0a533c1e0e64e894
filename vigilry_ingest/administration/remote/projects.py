"""Projects through an admin API."""

from vigilry_ingest.administration.records import ErasedEvents, ListedProject, Page, ProjectRecord
from vigilry_ingest.administration.remote.client import AdminClient, path_of
from vigilry_ingest.api_keys.project_settings import Settings

# Deleting waits until no worker has a key in its cache, and then for each event.
_DELETION_S = 7200.0


class RemoteProjects:
    """The projects of an admin API."""

    def __init__(self, client: AdminClient) -> None:
        self._client = client

    def page(self, after: str, limit: int) -> Page[ListedProject]:
        """Return a part of the projects."""
        query = {"after": after, "limit": limit}
        return self._client.request(Page[ListedProject], "GET", path_of("projects"), query=query)

    def get(self, name_or_id: str) -> ListedProject:
        """Return a project."""
        return self._client.request(ListedProject, "GET", path_of("projects", name_or_id))

    def change(self, name_or_id: str, settings: Settings) -> ProjectRecord:
        """Change settings of a project."""
        return self._client.request(ProjectRecord, "PATCH", path_of("projects", name_or_id), body=settings)

    def count_events(self, name_or_id: str) -> ErasedEvents:
        """Count what `delete` would erase."""
        return self._delete(name_or_id, {"dry_run": "true"})

    def delete(self, name_or_id: str, confirm: str) -> ErasedEvents:
        """Delete a project with its events, keys and sources."""
        return self._delete(name_or_id, {"confirm": confirm})

    def _delete(self, name_or_id: str, query: dict[str, str]) -> ErasedEvents:
        path = path_of("projects", name_or_id)
        return self._client.request(ErasedEvents, "DELETE", path, query=query, timeout_s=_DELETION_S)
