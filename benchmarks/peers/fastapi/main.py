"""FastAPI, uvicorn and redis.asyncio, doing the same work: API key, validation, append, response."""

import hashlib
import json
import os
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import uuid4

from fastapi import Depends, FastAPI, Header, HTTPException
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from redis.asyncio import Redis

PROJECTS = {os.environ["PEER_KEY_DIGEST"]: "proj_01M83ZAAT09981GBARPB87MAEB"}

app = FastAPI(openapi_url=None)
redis = Redis(unix_socket_path=os.environ["PEER_SOCKET"])


class Event(BaseModel):
    """The contract's table for /ingest/events."""

    model_config = ConfigDict(extra="forbid")

    type: str = Field(min_length=1)
    severity: Literal["INFO", "WARN", "ERROR", "CRITICAL"]
    message: str = Field(min_length=1)
    source: str | None = None
    correlation: dict[str, Any] | None = None
    payload: dict[str, Any] | None = None


async def project(x_api_key: Annotated[str, Header()]) -> str:
    """Return the project of an API key."""
    found = PROJECTS.get(hashlib.sha256(x_api_key.encode()).hexdigest())
    if found is None:
        raise HTTPException(401, "invalid_api_key")
    return found


@app.post("/ingest/events")
async def accept(event: Event, project_id: Annotated[str, Depends(project)]) -> JSONResponse:
    """Append an event to the stream."""
    entry: dict[Any, Any] = {
        "v": "1",
        "id": f"evt_{uuid4().hex}",
        "project_id": project_id,
        "environment": "production",
        "kind": "event",
        "type": event.type,
        "severity": event.severity,
        "message": event.message,
        "received_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "request_id": f"req_{uuid4().hex}",
    }
    if event.source is not None:
        entry["source"] = event.source
    if event.correlation is not None:
        entry["correlation"] = json.dumps(event.correlation)
    if event.payload is not None:
        entry["payload"] = json.dumps(event.payload)
    entry_id = await redis.xadd("events", entry)
    job_id = "bull-" + entry_id.decode().replace("-", "")
    return JSONResponse(
        {"jobId": job_id, "status": "queued"}, 202, headers={"Location": f"/ingest/jobs/{job_id}"}
    )


@app.get("/health/live")
async def live() -> dict[str, str]:
    """Return that the process is alive."""
    return {"status": "live"}
