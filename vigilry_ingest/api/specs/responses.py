"""Headers and responses of ``/openapi.json``, with an example of each problem."""

from vigilry_ingest.api.problems import PROBLEM_TYPES, problem_of
from vigilry_ingest.api.specs.examples import JOB_ID, REQUEST_ID, SOURCE_ID
from vigilry_ingest.api.specs.schemas import Json

BATCH = "/ingest/batch"

_PROBLEM = "application/problem+json"
_JOB = f"/ingest/jobs/{JOB_ID}"
# Problems that do not occur at /ingest/events.
_PATHS = {
    "batch_too_large": BATCH,
    "not_found": _JOB,
    "event_store_unavailable": _JOB,
    "invalid_signature": f"/hooks/{SOURCE_ID}",
}
_HEADERS_BY_STATUS = {
    401: ("WwwAuthenticate",),
    405: ("Allow",),
    415: ("AcceptEncoding",),
    429: ("RetryAfter", "RateLimitPolicy", "RateLimit"),
    503: ("RetryAfter",),
}
_SEVERITY_FAULT = ("/severity", "not_allowed", "Must be one of INFO, WARN, ERROR, CRITICAL, in uppercase.")
# The faults of example events that have no severity.
_FAULTS = {
    "/ingest/server-error": ("/path", "required", "This field is required."),
    "/ingest/stripe": ("/data", "required", "This field is required."),
}
# Pointers of faults in batch items that match their schema.
_ITEM_POINTERS = {"rate_limited": "", "idempotency_key_reused": "/idempotencyKey"}


def headers() -> dict[str, Json]:
    """Return all response headers by component name."""

    def text(description: str, example: str) -> Json:
        return {"description": description, "schema": {"type": "string"}, "example": example}

    return {
        "RequestId": text("The request's id, which the service also logs.", REQUEST_ID) | {"required": True},
        "Location": text("The URL of the job.", _JOB),
        "IdempotentReplayed": text("`true` if an earlier request with this key stored the event.", "true"),
        "RetryAfter": {
            "description": "Seconds to wait before retrying what was rejected.",
            "schema": {"type": "integer", "minimum": 1},
            "example": 1,
        },
        "RateLimitPolicy": text("The project's quota, if it has one.", '"project";q=100;w=1'),
        "RateLimit": text(
            "The remaining quota, and the seconds until it is full again or, with a 429, until one more "
            "event is accepted.",
            '"project";r=42;t=1',
        ),
        "Scrubbed": text(
            "How many values of the events were replaced by `[scrubbed]`, if the project has rules for that.",
            "2",
        ),
        "Sunset": text(
            "When the API key expires (RFC 8594), during its last two weeks.", "Tue, 24 Nov 2026 09:00:00 GMT"
        ),
        "Allow": text("The methods that the URL supports.", "POST, OPTIONS"),
        "AcceptEncoding": text("The supported content codings.", "gzip, zstd"),
        "WwwAuthenticate": text(
            "How to send an API key, or that a signature is required.",
            'ApiKey realm="ingest", header="X-Api-Key"',
        ),
    }


def _header_refs(*names: str) -> Json:
    titles = {
        "RequestId": "X-Request-Id", "RateLimitPolicy": "RateLimit-Policy", "RetryAfter": "Retry-After",
        "IdempotentReplayed": "Idempotent-Replayed", "AcceptEncoding": "Accept-Encoding",
        "WwwAuthenticate": "WWW-Authenticate", "Scrubbed": "Vigilry-Scrubbed",
    }  # fmt: skip
    return {titles.get(name, name): {"$ref": f"#/components/headers/{name}"} for name in names}


def response(schema: str, description: str, *headers: str) -> Json:
    """Return a JSON response with a schema, the request's id and further headers."""
    return {
        "description": description,
        "headers": _header_refs("RequestId", *headers),
        "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}},
    }


def accepted(schema: str, description: str, *headers: str) -> Json:
    """Return a 202 response, with the headers for quotas and expiring keys."""
    return response(schema, description, *headers, "RateLimitPolicy", "RateLimit", "Scrubbed", "Sunset")


def problem_responses(path: str, *codes: str) -> Json:
    """Return the problem responses of a path by status, with an example of each."""
    responses: Json = {}
    for code in codes:
        status = PROBLEM_TYPES[code].status
        problem = responses.setdefault(
            str(status),
            {
                "description": "",
                "headers": _header_refs(
                    "RequestId", *_HEADERS_BY_STATUS.get(status, ()), *_key_headers(path, status)
                ),
                "content": {_PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": {}}},
            },
        )
        problem["description"] = ", ".join(filter(None, [problem["description"], f"`{code}`"]))
        problem["content"][_PROBLEM]["examples"][code] = {
            "summary": PROBLEM_TYPES[code].title,
            "value": example_of(code, path),
        }
    return responses


def _key_headers(path: str, status: int) -> tuple[str, ...]:
    # Only an authenticated request reveals when its key expires; methods are checked before the key.
    is_authenticated = path.startswith(("/ingest/", "/api/")) and status not in (401, 405)
    return ("Sunset",) if is_authenticated else ()


def example_of(code: str, path: str | None = None) -> Json:
    """Return an example of a problem at a path, by default at one where the problem occurs."""
    path = path or _PATHS.get(code, "/ingest/events")
    example = problem_of(code, PROBLEM_TYPES[code].cause, request_id=REQUEST_ID, instance=path)
    return example | _extra_members(code, path)


def _extra_members(code: str, path: str) -> Json:
    """Return the members of an invalid event or a rejected batch that other problems do not have."""
    pointer, fault_code, detail = _FAULTS.get(path, _SEVERITY_FAULT)
    faults = [{"pointer": pointer, "code": fault_code, "detail": detail}]
    if path == BATCH and code in _ITEM_POINTERS:
        faults = [{"pointer": _ITEM_POINTERS[code], "code": code, "detail": PROBLEM_TYPES[code].cause}]
    elif code != "invalid_event":
        return {}
    if path != BATCH:
        return {"detail": f"1 validation error: {pointer}", "errors": faults}
    return {
        "detail": "No event of the batch was accepted; see results.",
        "results": [{"index": 0, "status": "rejected", "code": code, "errors": faults}],
    }
