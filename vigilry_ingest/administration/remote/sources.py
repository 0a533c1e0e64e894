"""Sources of webhooks through an admin API."""

from datetime import timedelta

from vigilry_ingest.administration.records import Page, ReencryptedSecrets, SourceRecord
from vigilry_ingest.administration.remote.client import AdminClient, path_of
from vigilry_ingest.webhooks.source_settings import SourceSettings


class RemoteSources:
    """The sources of webhooks of an admin API."""

    def __init__(self, client: AdminClient) -> None:
        self._client = client

    def page(self, after: str, limit: int) -> Page[SourceRecord]:
        """Return a part of the sources."""
        query = {"after": after, "limit": limit}
        return self._client.request(Page[SourceRecord], "GET", path_of("sources"), query=query)

    def get(self, source_id: str) -> SourceRecord:
        """Return a source."""
        return self._client.request(SourceRecord, "GET", path_of("sources", source_id))

    def check_secrets_key(self) -> None:
        """Return: only the server knows whether it has a key for secrets."""

    def add(self, settings: SourceSettings, secret: str) -> SourceRecord:
        """Add a source."""
        body = settings._asdict() | {"secret": secret}
        return self._client.request(SourceRecord, "POST", path_of("sources"), body=body)

    def rotate(self, source_id: str, secret: str, *, grace: timedelta) -> SourceRecord:
        """Replace the secret of a source, which is valid for ``grace``."""
        body = {"secret": secret, "grace_hours": grace / timedelta(hours=1)}
        path = path_of("sources", source_id, "rotate")
        return self._client.request(SourceRecord, "POST", path, body=body)

    def disable(self, source_id: str, *, is_disabled: bool) -> SourceRecord:
        """Disable a source, or enable it again."""
        body = {"disabled": is_disabled}
        return self._client.request(SourceRecord, "PATCH", path_of("sources", source_id), body=body)

    def remove(self, source_id: str) -> SourceRecord:
        """Remove a source."""
        return self._client.request(SourceRecord, "DELETE", path_of("sources", source_id))

    def reencrypt(self) -> ReencryptedSecrets:
        """Encrypt all secrets with the newest key."""
        return self._client.request(ReencryptedSecrets, "POST", path_of("secrets", "rotate"))
