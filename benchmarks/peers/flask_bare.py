"""A bare Flask view that answers a constant: what Flask and gunicorn take by themselves."""

from flask import Flask, Response, jsonify

app = Flask(__name__)


@app.post("/ingest/events")
def accept() -> tuple[Response, int]:
    """Answer as the service does, with none of its work."""
    return jsonify(jobId="bull-1795429837634000000", status="queued"), 202


@app.get("/health/live")
def live() -> Response:
    """Answer that the process answers."""
    return jsonify(status="live")
