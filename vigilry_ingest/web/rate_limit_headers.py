"""What a sender is told of its project's quota."""

from math import ceil

from vigilry_ingest.domain.event import Quota
from vigilry_ingest.stream.errors import RateLimited
from vigilry_ingest.stream.publishing.publisher import Published


def quota_headers(quota: Quota | None, outcome: Published | RateLimited) -> list[tuple[str, str]]:
    """Tell the quota, how many events are left at once, and in how many seconds all of them are again.

    After a refusal it is the seconds until one is, as in Retry-After. The fields are those of the IETF's
    draft-ietf-httpapi-ratelimit-headers; the window is one in which the quota holds for burst and rate.
    """
    if quota is None:
        return []
    if isinstance(outcome, RateLimited):
        left, reset_s = 0, outcome.retry_after_s
    else:
        left, reset_s = outcome.remaining or 0, ceil(outcome.reset_us / 1e6)
    most = max(quota)
    return [
        ("RateLimit-Policy", f'"project";q={most};w={ceil(most / quota.per_second)}'),
        ("RateLimit", f'"project";r={left};t={reset_s}'),
    ]
