"""What senders are answered, for ``/openapi.json``: headers, acceptances, refusals with their examples."""

from vigilry_ingest.descriptions.examples import JOB_ID, REQUEST_ID
from vigilry_ingest.descriptions.schemas import Json
from vigilry_ingest.refusals import REFUSALS, page_of

_PROBLEM = "application/problem+json"
_INSTANCES = dict.fromkeys(("not_found", "event_store_unavailable"), "/ingest/jobs/bull-1")
# The headers that a status brings along.
_WITH = {
    401: ("WwwAuthenticate",),
    405: ("Allow",),
    415: ("AcceptEncoding",),
    429: ("RetryAfter", "RateLimitPolicy", "RateLimit"),
    503: ("RetryAfter",),
}


def headers() -> dict[str, Json]:
    """Describe every header of an answer."""

    def text(description: str, example: str) -> Json:
        return {"description": description, "schema": {"type": "string"}, "example": example}

    return {
        "RequestId": text("The request's id, also in the service's log.", REQUEST_ID) | {"required": True},
        "Location": text("Where to ask for the job.", f"/ingest/jobs/{JOB_ID}"),
        "IdempotentReplayed": text("`true` when an earlier request with this key stored the event.", "true"),
        "RetryAfter": {
            "description": "Seconds to wait before the same request may succeed.",
            "schema": {"type": "integer", "minimum": 1},
            "example": 1,
        },
        "RateLimitPolicy": text("The project's quota, where it has one.", '"project";q=100;w=1'),
        "RateLimit": text("What is left of it, and the seconds until all of it is.", '"project";r=42;t=1'),
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


def answer(schema: str, description: str) -> Json:
    """Describe an answer that has this schema."""
    return {
        "description": description,
        "headers": _refer("RequestId"),
        "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}},
    }


def accepted(schema: str, description: str) -> Json:
    """Describe the 202 of a sender, which tells of its quota and its key too."""
    made = answer(schema, description)
    more = ["RateLimitPolicy", "RateLimit", "Sunset"]
    if schema == "Accepted":
        more = ["Location", "IdempotentReplayed", *more]
    made["headers"] |= _refer(*more)
    return made


def refusals_of(*codes: str) -> Json:
    """Describe the refusals of an operation, by status, with an example of each."""
    responses: Json = {}
    for code in codes:
        refusal = REFUSALS[code]
        response = responses.setdefault(
            str(refusal.status),
            {
                "description": "",
                "headers": _refer("RequestId", *_WITH.get(refusal.status, ())),
                "content": {_PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": {}}},
            },
        )
        response["description"] = ", ".join(filter(None, [response["description"], f"`{code}`"]))
        response["content"][_PROBLEM]["examples"][code] = {
            "summary": refusal.title,
            "value": example_of(code),
        }
    return responses


def example_of(code: str) -> Json:
    """Give an example of a refusal, as a sender sees it."""
    refusal = REFUSALS[code]
    example: Json = {
        "type": page_of(code),
        "title": refusal.title,
        "status": refusal.status,
        "detail": refusal.cause,
        "instance": _INSTANCES.get(code, "/ingest/events"),
        "code": code,
        "retryable": refusal.retryable,
        "requestId": REQUEST_ID,
    }
    if code == "invalid_event":
        detail = "Must be one of INFO, WARN, ERROR, CRITICAL, in capitals."
        example["detail"] = "1 to mend: /severity; see errors."
        example["errors"] = [{"pointer": "/severity", "code": "not_allowed", "detail": detail}]
    return example
