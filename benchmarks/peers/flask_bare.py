"""A bare Flask view with a constant response: the cost of Flask and gunicorn alone."""

from flask import Flask, Response, jsonify

app = Flask(__name__)


@app.post("/ingest/events")
def accept() -> tuple[Response, int]:
    """Return a constant response."""
    return jsonify(jobId="bull-1795429837634000000", status="queued"), 202


@app.get("/health/live")
def live() -> Response:
    """Return that the process is alive."""
    return jsonify(status="live")
