"""Problem types of the admin API alone."""

from vigilry_ingest.api.problems.problem_type import ProblemType

ADMIN = {
    "invalid_request": ProblemType(
        400,
        "Invalid request",
        "The body, or the query of a GET request, has members that are missing, have an invalid value, or "
        "are unknown at this endpoint of the admin API.",
        "Fix every validation error. They are listed in errors with JSON pointers.",
    ),
    "missing_admin_key": ProblemType(
        401,
        "Missing admin key",
        "The Authorization header is missing, or is not a bearer token.",
        "Send an admin key as Authorization: Bearer vig_admin_….",
    ),
    "invalid_admin_key": ProblemType(
        401,
        "Invalid admin key",
        "The admin key is unknown, mistyped, expired or revoked. The response is the same in all of these "
        "cases; the audit trail has the reason.",
        "Check the key for typing errors, or mint a new one with `flask admin-keys mint`.",
    ),
    "insufficient_admin_scope": ProblemType(
        403,
        "Insufficient scope",
        "The admin key does not have the scope that the request requires.",
        "Use a key with this scope: see `flask admin-keys mint --scope`.",
    ),
    "conflict": ProblemType(
        409,
        "Conflict",
        "The request cannot be done as things are, such as a name that another project has, or an archived "
        "project.",
        "Do what the detail says first.",
    ),
    "too_many_failed_attempts": ProblemType(
        429,
        "Too many failed attempts",
        "Too many admin keys were refused lately. Valid keys are accepted nevertheless.",
        "Check the key, and retry after the delay in Retry-After.",
        retryable=True,
    ),
    "database_unavailable": ProblemType(
        503,
        "Database unavailable",
        "The database does not respond, or is not migrated.",
        "Retry after the delay in Retry-After.",
        retryable=True,
    ),
    "secrets_unavailable": ProblemType(
        503,
        "Secrets unavailable",
        "The server has no key for the secrets of webhook sources, or not the one that encrypted them.",
        "Set VIGILRY_SECRETS_KEYS or VIGILRY_SECRETS_KEYS_FILE where the admin API runs.",
        retryable=True,
    ),
}
