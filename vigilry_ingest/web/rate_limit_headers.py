"""RateLimit header fields (draft-ietf-httpapi-ratelimit-headers)."""

from collections.abc import Iterator
from math import ceil

from vigilry_ingest.domain.event import Quota
from vigilry_ingest.stream.errors import RateLimited
from vigilry_ingest.stream.publishing.publisher import Published


def quota_headers(quota: Quota | None, outcome: Published | RateLimited) -> list[tuple[str, str]]:
    """Return the header fields for a project's quota; none without one.

    ``r`` is the number of events that may be sent at once; ``t`` is the number of seconds until the quota is
    fully restored or, after a rate-limited request, until the next event is allowed, as in Retry-After. The
    window ``w`` is the shortest in which both rate and burst hold. What remains of a quota of bytes is not
    stated, except that nothing does.
    """
    if quota is None:
        return []
    headers = [("RateLimit-Policy", ", ".join(_policies(quota)))]
    if isinstance(outcome, RateLimited):
        name = "bytes" if outcome.unit == "bytes" else "project"
        headers.append(("RateLimit", f'"{name}";r=0;t={outcome.retry_after_s}'))
    elif outcome.remaining is not None:
        reset_s = ceil(outcome.reset_us / 1e6)
        headers.append(("RateLimit", f'"project";r={outcome.remaining};t={reset_s}'))
    return headers


def _policies(quota: Quota) -> Iterator[str]:
    if quota.per_second:
        limit = max(quota.per_second, quota.burst)
        yield f'"project";q={limit};w={ceil(limit / quota.per_second)}'
    if quota.bytes_per_second:
        yield f'"bytes";q={quota.bytes_per_second};qu="content-bytes";w=1'
