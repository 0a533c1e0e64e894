"""``/health/live`` and ``/health/ready``, for load balancers and supervisors; no key needed."""

import threading
from collections.abc import Callable

from flask import Blueprint, Response, jsonify
from sqlalchemy import Engine, text

from vigilry_ingest.db.session import DatabaseError, session_on
from vigilry_ingest.services import services
from vigilry_ingest.stream.errors import PublishError

blueprint = Blueprint("health", __name__, url_prefix="/health")


@blueprint.get("/live")
def live() -> Response:
    """Answer that the process answers."""
    return jsonify(status="live")


@blueprint.get("/ready")
def ready() -> tuple[Response, int]:
    """Answer whether the broker and the key store answer within the publish time-out; 503 names the one
    that does not.
    """
    parts = services()
    checks = {"broker": _Check(parts.publisher.check), "keyStore": _Check(lambda: _ask(parts.engine))}
    budget_s = parts.config.publish_timeout_ms / 1000
    report = {name: check.outcome(budget_s) for name, check in checks.items()}
    is_ready = all(outcome == "ok" for outcome in report.values())
    return jsonify(status="ready" if is_ready else "unready", checks=report), 200 if is_ready else 503


class _Check:
    """One check in a thread of its own, because a frozen database driver cannot be told to hurry."""

    def __init__(self, ask: Callable[[], None]) -> None:
        self._ask = ask
        self._outcome = "no answer in time"
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._ask()
            self._outcome = "ok"
        except PublishError as error:
            self._outcome = error.code
        except DatabaseError as error:
            self._outcome = str(error)

    def outcome(self, budget_s: float) -> str:
        self._thread.join(budget_s)
        return self._outcome


def _ask(engine: Engine) -> None:
    with session_on(engine) as session:
        session.execute(text("SELECT 1"))
