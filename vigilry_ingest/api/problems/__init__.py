"""Every refusal: its word, what it means, and what to do; answers, pages and openapi.json read it here."""

from typing import Any

from vigilry_ingest.api.problems.client_errors import MISTAKES
from vigilry_ingest.api.problems.problem_type import ProblemType, page_of
from vigilry_ingest.api.problems.server_errors import BROKER, NGINX, SERVICE

__all__ = ["BROKER", "NGINX", "PROBLEM_TYPES", "ProblemType", "page_of", "problem_of"]

PROBLEM_TYPES = MISTAKES | SERVICE | BROKER | NGINX


def problem_of(code: str, detail: str, *, request_id: str, instance: str | None = None) -> dict[str, Any]:
    """Give what every problem has (RFC 9457); ``instance`` is the path, where one could be read."""
    refusal = PROBLEM_TYPES[code]
    members = {
        "type": page_of(code),
        "title": refusal.title,
        "status": refusal.status,
        "detail": detail,
        "instance": instance,
        "code": code,
        "retryable": refusal.retryable,
        "requestId": request_id,
    }
    return {name: value for name, value in members.items() if value is not None}
