"""The operations of Sentry's protocol in ``/openapi.json``."""

import json

from vigilry_ingest.api.problems import BROKER
from vigilry_ingest.api.schemas.sentry import KIND
from vigilry_ingest.api.specs.responses import problem_responses, response
from vigilry_ingest.api.specs.schemas import Json

_PROBLEMS = (
    "not_found", "missing_api_key", "invalid_api_key", "insufficient_scope", "origin_not_allowed",
    "method_not_allowed",
    "internal_error", "key_store_unavailable", "malformed_json", "invalid_event", "invalid_encoding",
    "incomplete_body", "body_too_large", "unsupported_encoding", "rate_limited", "too_many_invalid_requests",
    *BROKER,
)  # fmt: skip
_ABOUT = (
    "For Sentry's SDKs, with the API key as the user of the DSN. The project id of the path is not used. "
    "A retry with the same `event_id` is stored once. `docs/sentry.md` describes what is stored."
)


def sentry_paths() -> Json:
    """Return the operations of both endpoints by path."""
    event = json.dumps(KIND.example)
    envelope = f'{{"event_id":"{KIND.example["event_id"]}"}}\n{{"type":"event"}}\n{event}\n'
    return {
        "/api/{project}/envelope": {
            "post": _operation(
                "envelope",
                "sendSentryEnvelope",
                "Send an envelope of a Sentry SDK",
                {"type": "string", "minLength": 1},
                envelope,
            )
        },
        "/api/{project}/store": {
            "post": _operation(
                "store",
                KIND.operation,
                KIND.label,
                {"$ref": f"#/components/schemas/{KIND.component}"},
                KIND.example,
            )
        },
    }


def _operation(form: str, operation: str, summary: str, schema: Json, example: object) -> Json:
    media = "application/json" if form == "store" else "application/x-sentry-envelope"
    problems = _PROBLEMS if form == "store" else (*_PROBLEMS, "malformed_envelope", "batch_too_large")
    return {
        "operationId": operation,
        "summary": summary,
        "description": _ABOUT,
        "tags": ["Sentry"],
        "security": [{"SentryAuth": []}, {"SentryKey": []}, {"ApiKey": []}],
        "parameters": [
            {
                "name": "project",
                "in": "path",
                "required": True,
                "description": "Any digits.",
                "schema": {"type": "string", "pattern": "^[0-9]{1,20}$"},
                "example": "1",
            },
            "RequestId",
        ],
        "requestBody": {
            "required": True,
            "content": {media: {"schema": schema, "examples": {"first": {"value": example}}}},
        },
        "responses": {
            "200": response(
                "SentryAccepted",
                "The events are stored.",
                "RateLimitPolicy",
                "RateLimit",
                "Scrubbed",
                "Sunset",
            ),
            **problem_responses(f"/api/1/{form}", *problems),
        },
    }
