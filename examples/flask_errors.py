"""A Flask application that reports unhandled errors in the background, without delaying responses."""

import os
import traceback
from functools import cache
from queue import Full, Queue
from threading import Thread

import requests
from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

app = Flask(__name__)
URL = os.environ["INGEST_URL"] + "/ingest/server-error"
API_KEY = os.environ["INGEST_API_KEY"]
MAX_WAITING = 100
MAX_TEXT_LENGTH = 100_000


@cache
def reports() -> Queue[dict[str, object]]:
    """Start the reporter thread at the first error, so that each forked process has its own."""
    waiting: Queue[dict[str, object]] = Queue(MAX_WAITING)
    Thread(target=_send_reports, args=(waiting,), daemon=True).start()
    return waiting


def _send_reports(waiting: Queue[dict[str, object]]) -> None:
    with requests.Session() as session:
        session.headers["X-Api-Key"] = API_KEY
        while True:
            report = waiting.get()
            try:
                response = session.post(URL, json=report, timeout=2)
            except requests.RequestException as failure:
                # A failed report must not cause another error.
                app.logger.warning("An error was not reported: %s", failure)
            else:
                if not response.ok:
                    app.logger.warning("An error was not reported: %s", response.text)


def _text(value: str) -> str:
    """Limit the length, and replace lone surrogates, which are not valid in UTF-8."""
    return value[:MAX_TEXT_LENGTH].encode("utf-8", "replace").decode()


@app.errorhandler(Exception)
def report_error(error: Exception) -> tuple[str, int] | Response | HTTPException:
    """Log and report an unhandled error, and respond with 500."""
    if isinstance(error, HTTPException):
        return error
    # As Flask does without an error handler.
    app.log_exception((type(error), error, error.__traceback__))
    report = {
        "status_code": 500,
        "path": _text(request.path),
        "method": request.method,
        "error_message": _text(str(error)) or type(error).__name__,
        "stack": _text("".join(traceback.format_exception(error))),
        "correlation": {"request_id": request.headers.get("X-Request-Id", "")},
    }
    try:
        reports().put_nowait(report)
    except Full:
        app.logger.warning("An error was not reported: too many reports are waiting.")
    return "Something went wrong.", 500


@app.get("/orders/<int:number>")
def show_order(number: int) -> str:
    """Raise an error, as a demonstration."""
    raise KeyError(f"order {number}")
