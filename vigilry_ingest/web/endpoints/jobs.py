"""``GET /ingest/jobs/<jobId>``: what has become of an event."""

from typing import Any

from flask import Blueprint, Response, abort, jsonify

from vigilry_ingest.storage.deadlines import run_with_deadline
from vigilry_ingest.storage.event_queries import find_job, to_event
from vigilry_ingest.stream.job_status import find_job_status
from vigilry_ingest.stream.redis_keys import DEFAULT_GROUP, job_number_of
from vigilry_ingest.web.request import this_request

blueprint = Blueprint("jobs", __name__)


@blueprint.get("/ingest/jobs/<job_id>")
def show_job(job_id: str) -> Response:
    """Tell where a job stands, while its entry is on the stream and after it was stored and trimmed."""
    number = job_number_of(job_id)
    # The last look is for an event that was stored and trimmed between the first two.
    answer = None if number is None else _stored(number) or _on_the_way(job_id) or _stored(number)
    if answer is None:
        # The same for a malformed id and for another project's job, so that nobody learns of these.
        abort(404, "Your project has no such job.")
    return jsonify({"jobId": job_id, **answer})


def _stored(number: int) -> dict[str, Any] | None:
    request = this_request()
    engine, project_id = request.services.engine, request.caller.project_id
    timeout_s = request.services.config.publish_timeout_ms / 1000
    row = run_with_deadline(lambda: find_job(engine, project_id, number), timeout_s)
    if row is None:
        return None
    return {
        "status": "processed",
        "eventId": row.id,
        "kind": row.kind,
        "type": row.type,
        "receivedAt": to_event(row).received_at,
        "processedAt": row.processed_at.isoformat(timespec="milliseconds")[:-6] + "Z",
    }


def _on_the_way(job_id: str) -> dict[str, Any] | None:
    request = this_request()
    broker, project_id = request.services.broker, request.caller.project_id
    timeout_s = request.services.config.publish_timeout_ms / 1000
    standing = find_job_status(broker, project_id, job_id, group=DEFAULT_GROUP, timeout_s=timeout_s)
    if standing is None:
        return None
    answer: dict[str, Any] = {
        "status": standing.status,
        "eventId": standing.event.id,
        "kind": standing.event.kind,
        "type": standing.event.type,
        "receivedAt": standing.event.received_at,
    }
    if standing.attempts is not None:
        answer["attempts"] = standing.attempts
    if standing.reason is not None:
        answer["reason"] = standing.reason
    return answer
