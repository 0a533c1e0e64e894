"""Paths and operations of ``/openapi.json``."""

import json
from typing import Any

from vigilry_ingest.api.problems import BROKER
from vigilry_ingest.api.specs.examples import JOB_ID, SOURCE_ID
from vigilry_ingest.api.specs.responses import BATCH, accepted, problem_responses, response
from vigilry_ingest.api.specs.schemas import Json
from vigilry_ingest.api.specs.sentry import sentry_paths
from vigilry_ingest.domain.event_kinds import EventKind, posted_kinds

_ANY_PROBLEMS = ("method_not_allowed", "internal_error")
_KEY_PROBLEMS = (
    "missing_api_key", "invalid_api_key", "insufficient_scope", "origin_not_allowed", *_ANY_PROBLEMS,
    "key_store_unavailable",
)  # fmt: skip
_BODY_PROBLEMS = (
    "malformed_json", "invalid_event", "invalid_idempotency_key", "invalid_encoding", "incomplete_body",
    "body_too_large", "unsupported_media_type", "unsupported_encoding", "idempotency_key_reused",
    "rate_limited", "too_many_invalid_requests",
)  # fmt: skip
_INGESTION_PROBLEMS = (*_KEY_PROBLEMS, *_BODY_PROBLEMS, *BROKER)
_HOOK_PROBLEMS = (
    "malformed_json", "invalid_event", "invalid_encoding", "incomplete_body", "invalid_signature",
    "body_too_large", "unsupported_encoding", "rate_limited", "too_many_invalid_requests",
    "key_store_unavailable", *_ANY_PROBLEMS, *BROKER,
)  # fmt: skip
HOOK = "/hooks/{sourceId}"
# Broker errors that a read can cause.
_JOB_PROBLEMS = (
    "broker_unavailable", "broker_timeout", "broker_loading", "broker_primary_down", "broker_cluster_down",
    "broker_refused",
)  # fmt: skip


def paths() -> dict[str, Json]:
    """Return all operations by path and method."""
    return {
        **{kind.path: {"post": _ingestion(kind)} for kind in posted_kinds().values()},
        BATCH: {"post": _batch()},
        "/ingest/jobs/{jobId}": {"get": _job()},
        HOOK: {"post": _webhook(), "get": _about_webhook()},
        **sentry_paths(),
        "/health/live": {"get": _health("live", "Check whether the process responds")},
        "/health/ready": {"get": _health("ready", "Check whether the service can accept events")},
    }


def _ingestion(kind: EventKind) -> Json:
    body = _content("application/json", {"$ref": f"#/components/schemas/{kind.component}"}, kind.example)
    return {
        "operationId": kind.operation,
        "summary": kind.label,
        "description": f"Stores one event of kind `{kind.name}`.",
        "tags": ["Ingestion"],
        "parameters": ["IdempotencyKey", "RequestId", "Traceparent"],
        "requestBody": {"required": True, "content": body},
        "responses": {
            "202": accepted("Accepted", "The event is stored.", "Location", "IdempotentReplayed"),
            **problem_responses(kind.path, *_INGESTION_PROBLEMS),
        },
    }


def _batch() -> Json:
    items = {
        "oneOf": [{"$ref": f"#/components/schemas/{kind.component}Item"} for kind in posted_kinds().values()]
    }
    batch = {
        "type": "object",
        "required": ["events"],
        "properties": {"events": {"type": "array", "minItems": 1, "items": items}},
        "additionalProperties": False,
    }
    events = [{"kind": name} | kind.example for name, kind in posted_kinds().items()]
    lines = "".join(json.dumps(each) + "\n" for each in events)
    return {
        "operationId": "sendBatch",
        "summary": "Send a batch of events",
        "description": "Each item is accepted or rejected separately, and all accepted items are stored in "
        "one round trip. The response is 202 if at least one item was accepted, and otherwise an error that "
        "also has `results`. With `application/x-ndjson` the body is one item per line. Each item may have "
        "an `idempotencyKey`; the `Idempotency-Key` header is rejected with 400 `invalid_idempotency_key`.",
        "tags": ["Ingestion"],
        "parameters": ["RequestId", "Traceparent"],
        "requestBody": {
            "required": True,
            "content": _content("application/json", batch, {"events": events})
            | _content("application/x-ndjson", {"type": "string", "minLength": 1}, lines),
        },
        "responses": {
            "202": accepted(
                "BatchAccepted",
                "At least one event is stored; `results` has the outcome of each item. `Retry-After` is set "
                "if items were rate limited.",
                "RetryAfter",
            ),
            **problem_responses(BATCH, *_INGESTION_PROBLEMS, "batch_too_large"),
        },
    }


def _job() -> Json:
    return {
        "operationId": "getJob",
        "summary": "Get the status of an event",
        "description": "Jobs of other projects, unknown ids and malformed ids all return the same 404.",
        "tags": ["Jobs"],
        "parameters": [
            {
                "name": "jobId",
                "in": "path",
                "required": True,
                "description": "The jobId of an accepted event.",
                "schema": {"type": "string", "minLength": 1},
                "example": JOB_ID,
            },
            "RequestId",
        ],
        "responses": {
            "200": response("Job", "The status of the event.", "Sunset"),
            **problem_responses(
                f"/ingest/jobs/{JOB_ID}",
                *_KEY_PROBLEMS,
                "not_found",
                "event_store_unavailable",
                *_JOB_PROBLEMS,
            ),
        },
    }


def _webhook() -> Json:
    accepted_202 = accepted("Accepted", "The event is stored.", "Location", "IdempotentReplayed")
    del accepted_202["headers"]["Sunset"]
    return {
        "operationId": "receiveWebhook",
        "summary": "Receive a webhook from its provider",
        "description": "For the settings of a provider, which signs its requests: the body is a JSON object "
        "or a form, and the source's secret verifies it. A repeated delivery is stored once.",
        "tags": ["Webhooks"],
        "security": [],
        "parameters": [_source_parameter(), "RequestId", "Traceparent"],
        "requestBody": {"required": True, "content": {"*/*": {"schema": {}}}},
        "responses": {
            "200": response("Challenge", "The answer to a provider that only checks the URL."),
            "202": accepted_202,
            **problem_responses(f"/hooks/{SOURCE_ID}", *_HOOK_PROBLEMS),
        },
    }


def _about_webhook() -> Json:
    about = response("Challenge", "What the URL is for, whether or not the source exists.")
    about["content"] = {"text/plain": {"schema": {"type": "string"}}}
    return {
        "operationId": "describeWebhook",
        "summary": "Describe the URL of a webhook",
        "description": "For those who open the URL in a browser.",
        "tags": ["Webhooks"],
        "security": [],
        "parameters": [_source_parameter(), "RequestId"],
        "responses": {"200": about, **problem_responses(f"/hooks/{SOURCE_ID}", *_ANY_PROBLEMS)},
    }


def _source_parameter() -> Json:
    return {
        "name": "sourceId",
        "in": "path",
        "required": True,
        "description": "The id of a source, from `flask sources add`.",
        "schema": {"type": "string", "minLength": 1},
        "example": SOURCE_ID,
    }


def _health(name: str, summary: str) -> Json:
    responses = {"200": response("Health", "The check passed.")}
    if name == "ready":
        responses["503"] = response(
            "Health",
            "The service is not ready. `checks` shows what failed; it is absent while the service stops.",
        )
    return {
        "operationId": f"health{name.capitalize()}",
        "summary": summary,
        "description": "For load balancers and process supervisors.",
        "tags": ["Health"],
        "security": [],
        "responses": responses | problem_responses(f"/health/{name}", *_ANY_PROBLEMS),
    }


def _content(media: str, schema: Json, example: Any) -> Json:
    return {media: {"schema": schema, "examples": {"first": {"value": example}}}}
