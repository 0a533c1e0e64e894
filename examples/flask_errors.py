"""A Flask application that reports its unhandled errors in the background, so that no answer waits."""

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
MOST_WAITING = 100
LONGEST_TEXT = 100_000


@cache
def reports() -> Queue[dict[str, object]]:
    """Start the reporter, with the first error: in a server that forks, each process has its own."""
    waiting: Queue[dict[str, object]] = Queue(MOST_WAITING)
    Thread(target=_send_reports, args=(waiting,), daemon=True).start()
    return waiting


def _send_reports(waiting: Queue[dict[str, object]]) -> None:
    with requests.Session() as session:
        session.headers["X-Api-Key"] = API_KEY
        while True:
            report = waiting.get()
            try:
                answer = session.post(URL, json=report, timeout=2)
            except requests.RequestException as failure:
                # A report that fails must not become another error.
                app.logger.warning("An error was not reported: %s", failure)
            else:
                if not answer.ok:
                    app.logger.warning("An error was not reported: %s", answer.text)


def _text(said: str) -> str:
    """Cut a text to what is worth reporting; half a surrogate pair, as in a file's name, is no JSON."""
    return said[:LONGEST_TEXT].encode("utf-8", "replace").decode()


@app.errorhandler(Exception)
def report_error(error: Exception) -> tuple[str, int] | Response | HTTPException:
    """Log and report an error that nobody handled, and answer 500."""
    if isinstance(error, HTTPException):
        return error
    # As Flask does where there is no handler.
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
        app.logger.warning("An error was not reported: too many others are waiting.")
    return "Something went wrong.", 500


@app.get("/orders/<int:number>")
def show_order(number: int) -> str:
    """Fail, to show what is reported."""
    raise KeyError(f"order {number}")
