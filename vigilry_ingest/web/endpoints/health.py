"""``GET /health/live`` and ``GET /health/ready``, for load balancers and supervisors; no API key required."""

import logging
from collections.abc import Callable

from flask import Blueprint, Response, jsonify

from vigilry_ingest.server.drain_state import is_draining
from vigilry_ingest.services import services
from vigilry_ingest.storage.deadlines import start_with_deadline
from vigilry_ingest.storage.engine import DatabaseError, NotMigrated
from vigilry_ingest.storage.revision import check_migrated
from vigilry_ingest.stream.errors import BrokerError

_log = logging.getLogger(__name__)

blueprint = Blueprint("health", __name__, url_prefix="/health")


@blueprint.get("/live")
def live() -> Response:
    """Return 200: the process is running."""
    return jsonify(status="live")


@blueprint.get("/ready")
def ready() -> tuple[Response, int]:
    """Return 200 if the broker and the migrated key store respond within the publish time-out, else 503.

    The body has the result of each check. A draining service is never ready.
    """
    if is_draining():
        return jsonify(status="draining"), 503
    parts = services()
    budget_s = parts.config.publish_timeout_ms / 1000
    # The checks run concurrently, so that both share one time-out.
    check_key_store = start_with_deadline(lambda: check_migrated(parts.engine), budget_s)
    report = {
        "broker": _outcome(lambda: parts.broker.check(budget_s)),
        "keyStore": _outcome(check_key_store),
    }
    is_ready = all(outcome == "ok" for outcome in report.values())
    return jsonify(status="ready" if is_ready else "unready", checks=report), 200 if is_ready else 503


def _outcome(check: Callable[[], None]) -> str:
    try:
        check()
    except BrokerError as error:
        return _logged(error.code, error)
    except NotMigrated as error:
        return _logged("not_migrated", error)
    except DatabaseError as error:
        return _logged("unavailable", error)
    return "ok"


def _logged(code: str, error: Exception) -> str:
    # A driver's message may contain hosts and users, so it is logged and not sent.
    _log.warning("not ready", extra={"code": code, "reason": str(error)})
    return code
