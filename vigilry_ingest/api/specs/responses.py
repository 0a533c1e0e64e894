"""What senders are answered, for ``/openapi.json``: headers, acceptances, refusals with their examples."""

from vigilry_ingest.api.problems import PROBLEM_TYPES, problem_of
from vigilry_ingest.api.specs.examples import JOB_ID, REQUEST_ID
from vigilry_ingest.api.specs.schemas import Json

BATCH = "/ingest/batch"

_PROBLEM = "application/problem+json"
# Where a refusal is met that not every sender can meet.
_PATHS = {
    "batch_too_large": BATCH,
    "not_found": f"/ingest/jobs/{JOB_ID}",
    "event_store_unavailable": f"/ingest/jobs/{JOB_ID}",
}
# The headers that a status brings along.
_WITH = {
    401: ("WwwAuthenticate",),
    405: ("Allow",),
    415: ("AcceptEncoding",),
    429: ("RetryAfter", "RateLimitPolicy", "RateLimit"),
    503: ("RetryAfter",),
}
_SEVERITY = ("/severity", "not_allowed", "Must be one of INFO, WARN, ERROR, CRITICAL, in capitals.")
# What is wrong with the event of an example, where it has no severity.
_FAULTS = {
    "/ingest/server-error": ("/path", "required", "This field is required."),
    "/ingest/stripe": ("/data", "required", "This field is required."),
}
# What is wrong with an item of a batch that does fit, and where in it.
_OF_ITEMS = {"rate_limited": "", "idempotency_key_reused": "/idempotencyKey"}


def headers() -> dict[str, Json]:
    """Describe every header of an answer."""

    def text(description: str, example: str) -> Json:
        return {"description": description, "schema": {"type": "string"}, "example": example}

    return {
        "RequestId": text("The request's id, also in the service's log.", REQUEST_ID) | {"required": True},
        "Location": text("Where to ask for the job.", f"/ingest/jobs/{JOB_ID}"),
        "IdempotentReplayed": text("`true` when an earlier request with this key stored the event.", "true"),
        "RetryAfter": {
            "description": "Seconds to wait before what was not taken may be.",
            "schema": {"type": "integer", "minimum": 1},
            "example": 1,
        },
        "RateLimitPolicy": text("The project's quota, where it has one.", '"project";q=100;w=1'),
        "RateLimit": text(
            "What is left of it, and the seconds until all of it is, or with a 429 until one event is.",
            '"project";r=42;t=1',
        ),
        "Sunset": text(
            "In a key's last two weeks, when it ends (RFC 8594).", "Tue, 24 Nov 2026 09:00:00 GMT"
        ),
        "Allow": text("The methods that the address takes.", "POST, OPTIONS"),
        "AcceptEncoding": text("The codings that are taken.", "gzip, zstd"),
        "WwwAuthenticate": text("How to send a key.", 'ApiKey realm="ingest", header="X-Api-Key"'),
    }


def _refer(*names: str) -> Json:
    titles = {
        "RequestId": "X-Request-Id", "RateLimitPolicy": "RateLimit-Policy", "RetryAfter": "Retry-After",
        "IdempotentReplayed": "Idempotent-Replayed", "AcceptEncoding": "Accept-Encoding",
        "WwwAuthenticate": "WWW-Authenticate",
    }  # fmt: skip
    return {titles.get(name, name): {"$ref": f"#/components/headers/{name}"} for name in names}


def answer(schema: str, description: str, *headers: str) -> Json:
    """Describe an answer that has this schema and, besides the request's id, these headers."""
    return {
        "description": description,
        "headers": _refer("RequestId", *headers),
        "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}},
    }


def accepted(schema: str, description: str, *headers: str) -> Json:
    """Describe the 202 of a sender, which tells of its quota and its key too."""
    return answer(schema, description, *headers, "RateLimitPolicy", "RateLimit", "Sunset")


def refusals_of(path: str, *codes: str) -> Json:
    """Describe the refusals of a path, by status, with an example of each."""
    responses: Json = {}
    for code in codes:
        status = PROBLEM_TYPES[code].status
        response = responses.setdefault(
            str(status),
            {
                "description": "",
                "headers": _refer("RequestId", *_WITH.get(status, ()), *_of_the_key(path, status)),
                "content": {_PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": {}}},
            },
        )
        response["description"] = ", ".join(filter(None, [response["description"], f"`{code}`"]))
        response["content"][_PROBLEM]["examples"][code] = {
            "summary": PROBLEM_TYPES[code].title,
            "value": example_of(code, path),
        }
    return responses


def _of_the_key(path: str, status: int) -> tuple[str, ...]:
    # A key is told of once it was found to open something, and a method is refused before that.
    is_known = path.startswith("/ingest/") and status not in (401, 405)
    return ("Sunset",) if is_known else ()


def example_of(code: str, path: str | None = None) -> Json:
    """Give an example of a refusal, as a sender to a path sees it; by default to one that has it."""
    path = path or _PATHS.get(code, "/ingest/events")
    example = problem_of(code, PROBLEM_TYPES[code].cause, request_id=REQUEST_ID, instance=path)
    return example | _members_of(code, path)


def _members_of(code: str, path: str) -> Json:
    """Give what stands only in some problems: the faults of an event, or what became of each of a batch."""
    pointer, word, detail = _FAULTS.get(path, _SEVERITY)
    faults = [{"pointer": pointer, "code": word, "detail": detail}]
    if path == BATCH and code in _OF_ITEMS:
        faults = [{"pointer": _OF_ITEMS[code], "code": code, "detail": PROBLEM_TYPES[code].cause}]
    elif code != "invalid_event":
        return {}
    if path != BATCH:
        return {"detail": f"1 to mend: {pointer}; see errors.", "errors": faults}
    return {
        "detail": "None of the 1 events was taken; results says why.",
        "results": [{"index": 0, "status": "rejected", "code": code, "errors": faults}],
    }
