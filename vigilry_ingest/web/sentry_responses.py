"""Headers of the responses to Sentry SDKs: rate limits in their terms, and CORS by API key."""

from flask import Response

from vigilry_ingest.web.request import IngestRequest, this_request

_ALLOWED_HEADERS = (
    "Authorization, Content-Encoding, Content-Type, X-Requested-With, X-Sentry-Auth, baggage, sentry-trace, "
    "traceparent"
)
_EXPOSED_HEADERS = "Retry-After, X-Request-Id, X-Sentry-Error, X-Sentry-Rate-Limits"
_DAY_S = "86400"
_TOO_MANY_REQUESTS = 429


def add_sentry_headers(response: Response) -> Response:
    """Complete the response to a request of an SDK: an after_request hook."""
    request = this_request()
    if request.refusal:
        response.headers["X-Sentry-Error"] = request.refusal
    if response.status_code == _TOO_MANY_REQUESTS:
        # For all categories, as the quota counts whatever is stored. Without this header some SDKs would send
        # nothing for a minute.
        seconds = response.headers.get("Retry-After", "1")
        response.headers["X-Sentry-Rate-Limits"] = f"{seconds}::project:{request.refusal}"
    origin = request.environ.get("HTTP_ORIGIN")
    if origin:
        response.headers.add("Vary", "Origin")
        if _is_allowed(request, origin):
            _allow(response, origin, is_preflight=request.method == "OPTIONS")
    return response


def _is_allowed(request: IngestRequest, origin: str) -> bool:
    everywhere = request.services.config.cors_origins.split(",")
    if origin in everywhere or "*" in everywhere:
        return True
    restrictions = request.caller and request.caller.restrictions
    return restrictions is not None and restrictions.allows_origin(origin)


def _allow(response: Response, origin: str, *, is_preflight: bool) -> None:
    response.headers["Access-Control-Allow-Origin"] = origin
    if is_preflight:
        response.headers["Access-Control-Allow-Methods"] = "POST"
        response.headers["Access-Control-Allow-Headers"] = _ALLOWED_HEADERS
        response.headers["Access-Control-Max-Age"] = _DAY_S
    else:
        response.headers["Access-Control-Expose-Headers"] = _EXPOSED_HEADERS
