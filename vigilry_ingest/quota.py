"""What a sender is told of its project's quota."""

from math import ceil

from vigilry_ingest.event import Quota


def quota_headers(quota: Quota | None, left: int, reset_us: int) -> list[tuple[str, str]]:
    """Tell the quota, how many events are left at once, and when all of them are again.

    ``reset_us`` is in microseconds. The fields are those of the IETF's draft-ietf-httpapi-ratelimit-headers.
    """
    if quota is None:
        return []
    return [
        ("RateLimit-Policy", f'"project";q={quota.per_second};w=1'),
        ("RateLimit", f'"project";r={left};t={ceil(reset_us / 1e6)}'),
    ]
