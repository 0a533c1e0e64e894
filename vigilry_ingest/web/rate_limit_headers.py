"""RateLimit header fields (draft-ietf-httpapi-ratelimit-headers)."""

from math import ceil

from vigilry_ingest.domain.event import Quota
from vigilry_ingest.stream.errors import RateLimited
from vigilry_ingest.stream.publishing.publisher import Published


def quota_headers(quota: Quota | None, outcome: Published | RateLimited) -> list[tuple[str, str]]:
    """Return the header fields for a project's quota; none without one.

    ``r`` is the number of events that may be sent at once; ``t`` is the number of seconds until the quota is
    fully restored or, after a rate-limited request, until the next event is allowed, as in Retry-After. The
    window ``w`` is the shortest in which both rate and burst hold.
    """
    if quota is None:
        return []
    if isinstance(outcome, RateLimited):
        remaining, reset_s = 0, outcome.retry_after_s
    else:
        remaining, reset_s = outcome.remaining or 0, ceil(outcome.reset_us / 1e6)
    limit = max(quota)
    return [
        ("RateLimit-Policy", f'"project";q={limit};w={ceil(limit / quota.per_second)}'),
        ("RateLimit", f'"project";r={remaining};t={reset_s}'),
    ]
