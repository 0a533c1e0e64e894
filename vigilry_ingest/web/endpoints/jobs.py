"""``GET /ingest/jobs/<jobId>``: the status of an event."""

from typing import Any

from flask import Blueprint, Response, abort, jsonify

from vigilry_ingest.domain.times import rfc3339
from vigilry_ingest.storage.deadlines import run_with_deadline
from vigilry_ingest.storage.event_queries import find_job, to_event
from vigilry_ingest.stream.job_status import find_job_status
from vigilry_ingest.stream.redis_keys import DEFAULT_GROUP, job_number_of
from vigilry_ingest.web.request import this_request

blueprint = Blueprint("jobs", __name__)


@blueprint.get("/ingest/jobs/<job_id>")
def show_job(job_id: str) -> Response:
    """Return the status of a job, from the stream or, once it is processed, from the event store."""
    number = job_number_of(job_id)
    # The second query of the store finds an event that was stored and trimmed after the first.
    status = None if number is None else _stored(number) or _on_stream(job_id) or _stored(number)
    if status is None:
        # The same response for a malformed id and for a job of another project or environment, which must not
        # be revealed.
        abort(404, "The project and environment of your key have no such job.")
    return jsonify({"jobId": job_id, **status})


def _stored(number: int) -> dict[str, Any] | None:
    request = this_request()
    engine, caller = request.services.engine, request.caller
    timeout_s = request.services.config.publish_timeout_ms / 1000
    row = run_with_deadline(
        lambda: find_job(engine, caller.project_id, caller.environment, number), timeout_s
    )
    if row is None:
        return None
    return {
        "status": "processed",
        "eventId": row.id,
        "kind": row.kind,
        "type": row.type,
        "receivedAt": to_event(row).received_at,
        "processedAt": rfc3339(row.processed_at),
    }


def _on_stream(job_id: str) -> dict[str, Any] | None:
    request = this_request()
    broker, caller = request.services.broker, request.caller
    timeout_s = request.services.config.publish_timeout_ms / 1000
    job = find_job_status(
        broker, caller.project_id, caller.environment, job_id, group=DEFAULT_GROUP, timeout_s=timeout_s
    )
    if job is None:
        return None
    status: dict[str, Any] = {
        "status": job.status,
        "eventId": job.event.id,
        "kind": job.event.kind,
        "type": job.event.type,
        "receivedAt": job.event.received_at,
    }
    if job.attempts is not None:
        status["attempts"] = job.attempts
    if job.reason is not None:
        status["reason"] = job.reason
    return status
