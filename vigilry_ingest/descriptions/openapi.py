"""``/openapi.json``: what a sender may call, generated from the schemas and the refusals."""

from functools import cache
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin

from vigilry_ingest import __version__
from vigilry_ingest.descriptions.examples import EXAMPLES, JOB_ID, REQUEST_ID
from vigilry_ingest.descriptions.schemas import KEY, KINDS, Json, add_schemas, name_of
from vigilry_ingest.refusals import REFUSALS, page_of

_ABOUT = """\
Takes events of your application over HTTP and keeps them until they are processed.

Send your project's key in `X-Api-Key`. A `202` means that the event is stored; ask with its `jobId` what has
become of it.
Send an `Idempotency-Key` where you may have to repeat a request: then the event is stored once.
Bodies may be compressed: `Content-Encoding: gzip` or `zstd`. Every refusal is a problem (RFC 9457) with a
machine word, `code`, and a page that explains it.
"""
_TITLES = {
    "event": ("/ingest/events", "sendEvent", "Send an event"),
    "server_error": ("/ingest/server-error", "sendServerError", "Report an unhandled error"),
    "webhook": ("/ingest/webhook", "sendWebhook", "Forward a webhook"),
    "stripe": ("/ingest/stripe", "sendStripeEvent", "Forward a Stripe event"),
}
_OF_ALL = ("method_not_allowed", "internal_error")
_OF_ANY = ("missing_api_key", "invalid_api_key", *_OF_ALL, "key_store_unavailable")
_OF_BODIES = (
    "malformed_json", "invalid_event", "invalid_idempotency_key", "invalid_encoding", "incomplete_body",
    "body_too_large", "unsupported_media_type", "unsupported_encoding", "idempotency_key_reused",
    "rate_limited",
)  # fmt: skip
_OF_THE_BROKER = tuple(code for code in REFUSALS if code.startswith("broker_") or code == "stream_full")
_SENDING = (*_OF_ANY, *_OF_BODIES, *_OF_THE_BROKER)
_PROBLEM = "application/problem+json"
_INSTANCES = dict.fromkeys(("not_found", "event_store_unavailable"), "/ingest/jobs/bull-1")


@cache
def openapi() -> Json:
    """Make the document (OpenAPI 3.1)."""
    plugin = MarshmallowPlugin()
    spec = APISpec(
        title="Vigilry Ingest",
        version=__version__,
        openapi_version="3.1.0",
        plugins=[plugin],
        info={
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "contact": {"name": "Whoever runs this service"},
        },
        servers=[{"url": "/", "description": "The host that this document came from"}],
        tags=[
            {"name": "Sending", "description": "Events in."},
            {"name": "Asking", "description": "What has become of them."},
            {"name": "Health", "description": "For load balancers; no key needed."},
        ],
        security=[{"ApiKey": []}],
    )
    spec.components.security_scheme(
        "ApiKey",
        {"type": "apiKey", "in": "header", "name": "X-Api-Key", "description": "Your project's key."},
    )
    add_schemas(spec, plugin)
    _add_parts(spec)
    for kind in KINDS:
        path, operation, summary = _TITLES[kind]
        spec.path(path, operations={"post": _sending(kind, operation, summary)})
    spec.path("/ingest/batch", operations={"post": _batch()})
    spec.path("/ingest/jobs/{jobId}", operations={"get": _job()})
    spec.path("/health/live", operations={"get": _health("live", "Does the process answer?")})
    spec.path("/health/ready", operations={"get": _health("ready", "Can it take events?")})
    return spec.to_dict()


def _add_parts(spec: APISpec) -> None:
    for name, made in _headers().items():
        spec.components.header(name, made)
    spec.components.parameter(
        "IdempotencyKey", "header",
        {
            "name": "Idempotency-Key",
            "description": "A repeat of the same body with the same key is answered with the first jobId, "
            "and stored once. Another body is refused.",
            "schema": KEY,
        },
    )  # fmt: skip
    spec.components.parameter(
        "RequestId", "header",
        {
            "name": "X-Request-Id",
            "description": "Taken over when it has at most 128 of 0-9A-Za-z._:+/=@-; else one is made.",
            "schema": {"type": "string"},
        },
    )  # fmt: skip
    spec.components.parameter(
        "Traceparent", "header",
        {
            "name": "traceparent",
            "description": "W3C Trace Context; kept with the event.",
            "schema": {"type": "string"},
        },
    )  # fmt: skip


def _headers() -> dict[str, Json]:
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


def _sending(kind: str, operation: str, summary: str) -> Json:
    body = _content("application/json", {"$ref": f"#/components/schemas/{name_of(kind)}"}, EXAMPLES[kind])
    return {
        "operationId": operation,
        "summary": summary,
        "description": f"Stores one event of kind `{kind}`.",
        "tags": ["Sending"],
        "parameters": ["IdempotencyKey", "RequestId", "Traceparent"],
        "requestBody": {"required": True, "content": body},
        "responses": {"202": _accepted("Accepted", "Stored."), **_refusals(*_SENDING)},
    }


def _batch() -> Json:
    items = {"oneOf": [{"$ref": f"#/components/schemas/{name_of(kind)}Item"} for kind in KINDS]}
    listed = {
        "type": "object",
        "required": ["events"],
        "properties": {"events": {"type": "array", "minItems": 1, "items": items}},
        "additionalProperties": False,
    }
    example = {"events": [{"kind": kind} | each for kind, each in EXAMPLES.items()]}
    return {
        "operationId": "sendBatch",
        "summary": "Send many events at once",
        "description": "Each item is taken or rejected by itself, and one round trip stores all that are "
        "taken. The answer is 202 when at least one was. As `application/x-ndjson` the same items are taken "
        "without the object around them, a line of JSON for each.",
        "tags": ["Sending"],
        "parameters": ["RequestId", "Traceparent"],
        "requestBody": {"required": True, "content": _content("application/json", listed, example)},
        "responses": {
            "202": _accepted("BatchAccepted", "At least one is stored; `results` says which."),
            **_refusals(*_SENDING, "batch_too_large"),
        },
    }


def _job() -> Json:
    return {
        "operationId": "getJob",
        "summary": "Ask what has become of an event",
        "description": "A job of another project, an unknown and a malformed id are all the same 404.",
        "tags": ["Asking"],
        "parameters": [
            {
                "name": "jobId",
                "in": "path",
                "required": True,
                "description": "The jobId of an answer.",
                "schema": {"type": "string", "minLength": 1},
                "example": JOB_ID,
            },
            "RequestId",
        ],
        "responses": {
            "200": _answer("Job", "Where it stands."),
            **_refusals(
                *_OF_ANY, "not_found", "event_store_unavailable", "broker_unavailable", "broker_timeout"
            ),
        },
    }


def _health(name: str, summary: str) -> Json:
    responses = {"200": _answer("Health", "Yes.")}
    if name == "ready":
        responses["503"] = _answer("Health", "No; `checks` names which part is missing.")
    return {
        "operationId": f"health{name.capitalize()}",
        "summary": summary,
        "description": "For load balancers and supervisors.",
        "tags": ["Health"],
        "security": [],
        "responses": responses | _refusals(*_OF_ALL),
    }


def _content(media: str, schema: Json, example: Any) -> Json:
    return {media: {"schema": schema, "examples": {"first": {"value": example}}}}


def _refer(*names: str) -> Json:
    titles = {
        "RequestId": "X-Request-Id", "RateLimitPolicy": "RateLimit-Policy", "RetryAfter": "Retry-After",
        "IdempotentReplayed": "Idempotent-Replayed", "AcceptEncoding": "Accept-Encoding",
        "WwwAuthenticate": "WWW-Authenticate",
    }  # fmt: skip
    return {titles.get(name, name): {"$ref": f"#/components/headers/{name}"} for name in names}


def _answer(schema: str, description: str) -> Json:
    return {
        "description": description,
        "headers": _refer("RequestId"),
        "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}},
    }


def _accepted(schema: str, description: str) -> Json:
    answer = _answer(schema, description)
    more = ["RateLimitPolicy", "RateLimit", "Sunset"]
    if schema == "Accepted":
        more = ["Location", "IdempotentReplayed", *more]
    answer["headers"] |= _refer(*more)
    return answer


_WITH = {
    401: ("WwwAuthenticate",),
    405: ("Allow",),
    415: ("AcceptEncoding",),
    429: ("RetryAfter", "RateLimitPolicy", "RateLimit"),
    503: ("RetryAfter",),
}


def _refusals(*codes: str) -> Json:
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
