"""``/openapi.json`` of the admin API (OpenAPI 3.1)."""

import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from vigilry_ingest import __version__
from vigilry_ingest.administration.admin_schema import AdminSchema
from vigilry_ingest.administration.json_schemas import (
    Json,
    body_schema,
    query_parameters,
    record_schemas,
    reference,
)
from vigilry_ingest.administration.queries import (
    AuditQuery,
    DeletionQuery,
    PageQuery,
    ProjectPageQuery,
    VerificationQuery,
)
from vigilry_ingest.administration.requests import (
    KeyPutSchema,
    KeyRotationSchema,
    KeySchema,
    ProjectChangeSchema,
    ProjectSettingsSchema,
    SecretRotationSchema,
    SourceChangeSchema,
    SourcePutSchema,
    SourceSchema,
)
from vigilry_ingest.api.problems import problem_type_of
from vigilry_ingest.api.specs.openapi import openapi as ingest_openapi

_ABOUT = """\
Manages projects, their limits and retention, API keys, sources of webhooks, and the audit trail.

Send an admin key as `Authorization: Bearer vig_admin_…`; `flask admin-keys mint` makes one.
`PUT` is idempotent: what is as it should be is neither written nor recorded.
Every error response is a problem (RFC 9457) with an error `code`.
"""
_ANY = (
    "missing_admin_key", "invalid_admin_key", "insufficient_admin_scope", "too_many_failed_attempts",
    "invalid_request", "not_found", "method_not_allowed", "internal_error", "database_unavailable",
)  # fmt: skip
_BODY = (
    "malformed_json", "incomplete_body", "invalid_encoding", "body_too_large", "unsupported_media_type",
    "unsupported_encoding",
)  # fmt: skip
_CHANGE = ("conflict", "secrets_unavailable", "broker_unavailable")
_PROJECT = "/admin/projects/{project}"
_SOURCE = "/admin/sources/{source_id}"


class Operation(NamedTuple):
    """An operation of the admin API.

    Parameters:
        answer: the schema of the response
        status: of success; ``or_status`` is another one, with ``or_answer`` if it has another schema
    """

    method: str
    path: str
    id: str
    summary: str
    answer: str
    body: type[AdminSchema] | None = None
    query: type[AdminSchema] | None = None
    status: int = 200
    or_status: int | None = None
    or_answer: str | None = None


OPERATIONS = (
    Operation(
        "get", "/admin/projects", "listProjects", "List projects", "ListedProjectPage", query=PageQuery
    ),
    Operation("get", _PROJECT, "getProject", "Show a project", "ListedProject"),
    Operation(
        "put", _PROJECT, "putProject", "Create a project or change its settings", "ProjectRecord",
        ProjectSettingsSchema, or_status=201,
    ),
    Operation(
        "patch", _PROJECT, "changeProject", "Change a project or rename it", "ProjectRecord",
        ProjectChangeSchema,
    ),
    Operation(
        "delete", _PROJECT, "deleteProject", "Delete a project with its events", "ErasedEvents",
        query=DeletionQuery,
    ),
    Operation("get", "/admin/keys", "listKeys", "List API keys", "KeyRecordPage", query=ProjectPageQuery),
    Operation("post", "/admin/keys", "mintKey", "Mint an API key", "MintedKey", KeySchema, status=201),
    Operation(
        "put", "/admin/keys/by-name/{project}/{name}", "putKey", "Mint an API key unless it exists",
        "KeyRecord", KeyPutSchema, or_status=201, or_answer="MintedKey",
    ),
    Operation(
        "post", "/admin/keys/{key_id}/rotate", "rotateKey", "Replace an API key", "RotatedKey",
        KeyRotationSchema, status=201,
    ),
    Operation("post", "/admin/keys/{key_id}/revoke", "revokeKey", "Revoke an API key", "KeyRecord"),
    Operation(
        "get", "/admin/sources", "listSources", "List sources of webhooks", "SourceRecordPage",
        query=ProjectPageQuery,
    ),
    Operation(
        "post", "/admin/sources", "addSource", "Add a source", "SourceRecord", SourceSchema, status=201
    ),
    Operation(
        "put", "/admin/sources/by-name/{project}/{name}", "putSource", "Add a source or change it",
        "SourceRecord", SourcePutSchema, or_status=201,
    ),
    Operation("get", _SOURCE, "getSource", "Show a source", "SourceRecord"),
    Operation(
        "patch", _SOURCE, "changeSource", "Disable or enable a source", "SourceRecord", SourceChangeSchema
    ),
    Operation("delete", _SOURCE, "removeSource", "Remove a source", "SourceRecord"),
    Operation(
        "post", f"{_SOURCE}/rotate", "rotateSource", "Replace the secret of a source", "SourceRecord",
        SecretRotationSchema,
    ),
    Operation(
        "post", "/admin/secrets/rotate", "reencryptSecrets", "Encrypt all secrets with the newest key",
        "ReencryptedSecrets",
    ),
    Operation("get", "/admin/audit", "listChanges", "List changes", "AuditRecordPage", query=AuditQuery),
    Operation(
        "get", "/admin/audit/verify", "verifyChanges", "Verify the audit trail", "AuditVerification",
        query=VerificationQuery,
    ),
)  # fmt: skip


@cache
def openapi() -> Json:
    """Return the document."""
    paths: dict[str, Json] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _described(operation)
    scheme = {"type": "http", "scheme": "bearer", "description": "An admin key."}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Vigilry Ingest, administration",
            "version": __version__,
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "contact": {"name": "The operator of this service"},
        },
        "servers": [{"url": "/", "description": "This service"}],
        "security": [{"AdminKey": []}],
        "tags": [
            {"name": name, "description": f"The path `/admin/{name}`."}
            for name in dict.fromkeys(_tag(operation) for operation in OPERATIONS)
        ],
        "paths": paths,
        "components": {
            "securitySchemes": {"AdminKey": scheme},
            "schemas": dict(sorted((record_schemas() | _problem_schemas()).items())),
        },
    }


def _problem_schemas() -> dict[str, Json]:
    """Return the schemas of problems from the senders' document, without the results of batches."""
    schemas = ingest_openapi()["components"]["schemas"]
    problem: Json = schemas["Problem"]
    properties = {name: each for name, each in problem["properties"].items() if name != "results"}
    return {"Problem": problem | {"properties": properties}, "Fault": schemas["Fault"]}


def _described(operation: Operation) -> Json:
    success = {
        "description": operation.summary,
        "content": {"application/json": {"schema": reference(operation.answer)}},
    }
    responses = {str(operation.status): success}
    if operation.or_status is not None:
        made = reference(operation.or_answer or operation.answer)
        responses[str(operation.or_status)] = {
            "description": "It is new.",
            "content": {"application/json": {"schema": made}},
        }
    described: Json = {
        "operationId": operation.id,
        "summary": operation.summary,
        "tags": [_tag(operation)],
        "parameters": [*_path_parameters(operation.path)],
        "responses": responses | _problems(operation),
    }
    if operation.query is not None:
        described["parameters"] += query_parameters(operation.query)
    if operation.body is not None:
        content = {"application/json": {"schema": body_schema(operation.body)}}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _path_parameters(path: str) -> Iterator[Json]:
    for name in re.findall(r"\{(\w+)\}", path):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}


def _problems(operation: Operation) -> dict[str, Json]:
    codes = [*_ANY, *(_BODY if operation.body else ())]
    if operation.method != "get":
        codes += _CHANGE
    by_status: dict[str, list[str]] = {}
    for code in codes:
        by_status.setdefault(str(problem_type_of(code).status), []).append(code)
    # gunicorn's answer to a path or a query that is too long.
    by_status["414"] = ["bad_request"]
    return {
        status: {
            "description": ", ".join(f"`{code}`" for code in found),
            "content": {"application/problem+json": {"schema": reference("Problem")}},
        }
        for status, found in by_status.items()
    }


def _tag(operation: Operation) -> str:
    return operation.path.split("/")[2]
