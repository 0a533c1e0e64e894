"""What a sender may ask of the service, for ``/openapi.json``: each path with its operation."""

import json
from typing import Any

from vigilry_ingest.api.problems import BROKER
from vigilry_ingest.api.specs.examples import JOB_ID
from vigilry_ingest.api.specs.responses import BATCH, accepted, answer, refusals_of
from vigilry_ingest.api.specs.schemas import Json
from vigilry_ingest.domain.event_kinds import EventKind, event_kinds

_OF_ALL = ("method_not_allowed", "internal_error")
_OF_KEYS = ("missing_api_key", "invalid_api_key", *_OF_ALL, "key_store_unavailable")
_OF_BODIES = (
    "malformed_json", "invalid_event", "invalid_idempotency_key", "invalid_encoding", "incomplete_body",
    "body_too_large", "unsupported_media_type", "unsupported_encoding", "idempotency_key_reused",
    "rate_limited",
)  # fmt: skip
_SENDING = (*_OF_KEYS, *_OF_BODIES, *BROKER)
# What the broker may say to a question, which writes nothing.
_ASKING = (
    "broker_unavailable", "broker_timeout", "broker_loading", "broker_primary_down", "broker_cluster_down",
    "broker_refused",
)  # fmt: skip


def paths() -> dict[str, Json]:
    """Describe every operation, by path and method."""
    return {
        **{kind.path: {"post": _sending(kind)} for kind in event_kinds().values()},
        BATCH: {"post": _batch()},
        "/ingest/jobs/{jobId}": {"get": _job()},
        "/health/live": {"get": _health("live", "Does the process answer?")},
        "/health/ready": {"get": _health("ready", "Can it take events?")},
    }


def _sending(kind: EventKind) -> Json:
    body = _content("application/json", {"$ref": f"#/components/schemas/{kind.component}"}, kind.example)
    return {
        "operationId": kind.operation,
        "summary": kind.label,
        "description": f"Stores one event of kind `{kind.name}`.",
        "tags": ["Sending"],
        "parameters": ["IdempotencyKey", "RequestId", "Traceparent"],
        "requestBody": {"required": True, "content": body},
        "responses": {
            "202": accepted("Accepted", "Stored.", "Location", "IdempotentReplayed"),
            **refusals_of(kind.path, *_SENDING),
        },
    }


def _batch() -> Json:
    items = {
        "oneOf": [{"$ref": f"#/components/schemas/{kind.component}Item"} for kind in event_kinds().values()]
    }
    listed = {
        "type": "object",
        "required": ["events"],
        "properties": {"events": {"type": "array", "minItems": 1, "items": items}},
        "additionalProperties": False,
    }
    events = [{"kind": name} | kind.example for name, kind in event_kinds().items()]
    lines = "".join(json.dumps(each) + "\n" for each in events)
    return {
        "operationId": "sendBatch",
        "summary": "Send many events at once",
        "description": "Each item is taken or rejected by itself, and one round trip stores all that are "
        "taken. The answer is 202 when at least one was, and else a refusal that has `results` too. As "
        "`application/x-ndjson` the same items are taken without the object around them, a line of JSON for "
        "each. Each item may have an `idempotencyKey`; the header `Idempotency-Key` is refused here with 400 "
        "`invalid_idempotency_key`.",
        "tags": ["Sending"],
        "parameters": ["RequestId", "Traceparent"],
        "requestBody": {
            "required": True,
            "content": _content("application/json", listed, {"events": events})
            | _content("application/x-ndjson", {"type": "string", "minLength": 1}, lines),
        },
        "responses": {
            "202": accepted(
                "BatchAccepted",
                "At least one is stored; `results` says which. With `Retry-After` when one was rate limited.",
                "RetryAfter",
            ),
            **refusals_of(BATCH, *_SENDING, "batch_too_large"),
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
            "200": answer("Job", "Where it stands.", "Sunset"),
            **refusals_of(
                f"/ingest/jobs/{JOB_ID}", *_OF_KEYS, "not_found", "event_store_unavailable", *_ASKING
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
        "responses": responses | refusals_of(f"/health/{name}", *_OF_ALL),
    }


def _content(media: str, schema: Json, example: Any) -> Json:
    return {media: {"schema": schema, "examples": {"first": {"value": example}}}}
