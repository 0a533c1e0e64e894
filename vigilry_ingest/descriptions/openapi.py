"""``/openapi.json``: what a sender may call, generated from the schemas and the refusals."""

import json
from functools import cache
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin

from vigilry_ingest import __version__
from vigilry_ingest.descriptions.answers import accepted, answer, headers, refusals_of
from vigilry_ingest.descriptions.examples import EXAMPLES, JOB_ID
from vigilry_ingest.descriptions.schemas import KEY, KINDS, Json, add_schemas, name_of
from vigilry_ingest.refusals import REFUSALS

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
    for name, made in headers().items():
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


def _sending(kind: str, operation: str, summary: str) -> Json:
    body = _content("application/json", {"$ref": f"#/components/schemas/{name_of(kind)}"}, EXAMPLES[kind])
    return {
        "operationId": operation,
        "summary": summary,
        "description": f"Stores one event of kind `{kind}`.",
        "tags": ["Sending"],
        "parameters": ["IdempotencyKey", "RequestId", "Traceparent"],
        "requestBody": {"required": True, "content": body},
        "responses": {"202": accepted("Accepted", "Stored."), **refusals_of(*_SENDING)},
    }


def _batch() -> Json:
    items = {"oneOf": [{"$ref": f"#/components/schemas/{name_of(kind)}Item"} for kind in KINDS]}
    listed = {
        "type": "object",
        "required": ["events"],
        "properties": {"events": {"type": "array", "minItems": 1, "items": items}},
        "additionalProperties": False,
    }
    events = [{"kind": kind} | each for kind, each in EXAMPLES.items()]
    lines = "".join(json.dumps(each) + "\n" for each in events)
    return {
        "operationId": "sendBatch",
        "summary": "Send many events at once",
        "description": "Each item is taken or rejected by itself, and one round trip stores all that are "
        "taken. The answer is 202 when at least one was. As `application/x-ndjson` the same items are taken "
        "without the object around them, a line of JSON for each.",
        "tags": ["Sending"],
        "parameters": ["RequestId", "Traceparent"],
        "requestBody": {
            "required": True,
            "content": _content("application/json", listed, {"events": events})
            | _content("application/x-ndjson", {"type": "string", "minLength": 1}, lines),
        },
        "responses": {
            "202": accepted("BatchAccepted", "At least one is stored; `results` says which."),
            **refusals_of(*_SENDING, "batch_too_large"),
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
            "200": answer("Job", "Where it stands."),
            **refusals_of(
                *_OF_ANY, "not_found", "event_store_unavailable", "broker_unavailable", "broker_timeout"
            ),
        },
    }


def _health(name: str, summary: str) -> Json:
    responses = {"200": answer("Health", "Yes.")}
    if name == "ready":
        responses["503"] = answer("Health", "No; `checks` names which part is missing.")
    return {
        "operationId": f"health{name.capitalize()}",
        "summary": summary,
        "description": "For load balancers and supervisors.",
        "tags": ["Health"],
        "security": [],
        "responses": responses | refusals_of(*_OF_ALL),
    }


def _content(media: str, schema: Json, example: Any) -> Json:
    return {media: {"schema": schema, "examples": {"first": {"value": example}}}}
