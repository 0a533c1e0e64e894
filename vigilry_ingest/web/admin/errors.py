"""Error handlers of the admin API, besides those of the ingestion API."""

from flask import Flask, Response

from vigilry_ingest.administration.errors import AdministrationError
from vigilry_ingest.api.schemas.faults import InvalidEvent
from vigilry_ingest.api_keys.admin_lookup import TooManyFailedAttempts
from vigilry_ingest.storage.engine import DatabaseError
from vigilry_ingest.web.error_handlers import listed_faults, problem, register_errors


def register_admin_errors(app: Flask) -> None:
    """Register a handler for every exception that a view or hook of the admin API may raise."""
    register_errors(app)
    app.register_error_handler(AdministrationError, lambda error: problem(error.code, str(error)))
    app.register_error_handler(InvalidEvent, _invalid_request)
    app.register_error_handler(TooManyFailedAttempts, _too_many_failures)
    app.register_error_handler(DatabaseError, _database_unavailable)


def _invalid_request(error: InvalidEvent) -> Response:
    detail, errors = listed_faults(error)
    return problem("invalid_request", detail, members={"errors": errors})


def _too_many_failures(error: TooManyFailedAttempts) -> Response:
    detail = "Too many admin keys were refused lately."
    return problem("too_many_failed_attempts", detail, retry_after=error.retry_after_s)


def _database_unavailable(error: DatabaseError) -> Response:
    return problem("database_unavailable", "The database cannot be used at the moment.", cause=error)
