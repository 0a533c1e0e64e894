"""What every ingest view does at its two ends: write the receipt of an event, and answer 202."""

import re
from datetime import UTC, datetime

from flask import Response, request

from vigilry_ingest.event import Receipt
from vigilry_ingest.ids import new_id
from vigilry_ingest.services import caller, request_id

# https://www.w3.org/TR/trace-context/#traceparent-header, version 00.
_TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)


def new_receipt() -> Receipt:
    """Write down who sent this request, and when it came."""
    sender = caller()
    traceparent = request.headers.get("traceparent")
    return Receipt(
        id=new_id("evt"),
        project_id=sender.project_id,
        environment=sender.environment,
        received_at=datetime.now(UTC).isoformat(timespec="milliseconds")[:-6] + "Z",
        request_id=request_id(),
        traceparent=traceparent if traceparent and _TRACEPARENT.fullmatch(traceparent) else None,
    )


def queued(job_id: str) -> Response:
    """Answer 202: the event is stored, and this is its jobId."""
    return Response(f'{{"jobId":"{job_id}","status":"queued"}}', 202, mimetype="application/json")
