"""What a sender is told of its project's quota."""

from vigilry_ingest.event import Quota


def quota_headers(quota: Quota | None, left: int, reset_s: int) -> list[tuple[str, str]]:
    """Tell the quota, how many events are left at once, and the seconds until all of them are.

    The fields are those of the IETF's draft-ietf-httpapi-ratelimit-headers.
    """
    if quota is None:
        return []
    return [
        ("RateLimit-Policy", f'"project";q={quota.per_second};w=1'),
        ("RateLimit", f'"project";r={left};t={reset_s}'),
    ]
