"""API keys through an admin API."""

from datetime import timedelta

from vigilry_ingest.administration.protocols import KeySettings
from vigilry_ingest.administration.records import KeyRecord, MintedKey, Page, RotatedKey
from vigilry_ingest.administration.remote.client import AdminClient, path_of


class RemoteKeys:
    """The API keys of an admin API."""

    def __init__(self, client: AdminClient) -> None:
        self._client = client

    def page(self, after: str, limit: int) -> Page[KeyRecord]:
        """Return a part of the keys."""
        query = {"after": after, "limit": limit}
        return self._client.request(Page[KeyRecord], "GET", path_of("keys"), query=query)

    def mint(self, settings: KeySettings) -> MintedKey:
        """Make a key, and its project if that does not exist."""
        body = settings._asdict()
        body["expires_in_days"] = _days(body.pop("lifetime"))
        return self._client.request(MintedKey, "POST", path_of("keys"), body=body)

    def rotate(self, key_id: str, *, grace: timedelta, lifetime: timedelta | None) -> RotatedKey:
        """Make the successor of a key, which expires after ``grace``."""
        body = {"grace_hours": grace / timedelta(hours=1), "expires_in_days": _days(lifetime)}
        return self._client.request(RotatedKey, "POST", path_of("keys", key_id, "rotate"), body=body)

    def revoke(self, key_id: str) -> KeyRecord:
        """Revoke a key."""
        return self._client.request(KeyRecord, "POST", path_of("keys", key_id, "revoke"))


def _days(lifetime: timedelta | None) -> int | None:
    return None if lifetime is None else lifetime.days
