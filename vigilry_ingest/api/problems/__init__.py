"""All problem types (RFC 9457); responses, documentation pages and openapi.json read them from here."""

from typing import Any

from vigilry_ingest.api.problems.admin_errors import ADMIN
from vigilry_ingest.api.problems.client_errors import CLIENT
from vigilry_ingest.api.problems.problem_type import ProblemType, page_of
from vigilry_ingest.api.problems.server_errors import BROKER, NGINX, SERVICE

__all__ = [
    "ADMIN",
    "BROKER",
    "NGINX",
    "PROBLEM_TYPES",
    "ProblemType",
    "page_of",
    "problem_of",
    "problem_type_of",
]

PROBLEM_TYPES = CLIENT | SERVICE | BROKER | NGINX
"""What senders may be answered; the admin API has some types of its own."""


def problem_type_of(code: str) -> ProblemType:
    """Return the problem type of an error code, of the admin API too."""
    return PROBLEM_TYPES.get(code) or ADMIN[code]


def problem_of(code: str, detail: str, *, request_id: str, instance: str | None = None) -> dict[str, Any]:
    """Return the members that every problem has (RFC 9457).

    ``instance`` is the request's path, or None if it could not be parsed.
    """
    problem_type = problem_type_of(code)
    members = {
        "type": page_of(code),
        "title": problem_type.title,
        "status": problem_type.status,
        "detail": detail,
        "instance": instance,
        "code": code,
        "retryable": problem_type.retryable,
        "requestId": request_id,
    }
    return {name: value for name, value in members.items() if value is not None}
