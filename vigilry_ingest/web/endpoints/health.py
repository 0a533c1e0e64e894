"""``GET /health/live`` and ``GET /health/ready``, for load balancers and supervisors; no API key required."""

import logging
from collections.abc import Callable

from flask import Blueprint, Response, jsonify

from vigilry_ingest.server.drain_state import is_draining
from vigilry_ingest.services import services
from vigilry_ingest.storage.deadlines import start_with_deadline
from vigilry_ingest.storage.engine import DatabaseError, NotMigrated
from vigilry_ingest.storage.revision import check_migrated
from vigilry_ingest.stream.errors import BrokerError, reason_of

_log = logging.getLogger(__name__)

blueprint = Blueprint("health", __name__, url_prefix="/health")


@blueprint.get("/live")
def live() -> Response:
    """Return 200: the process is running."""
    return jsonify(status="live")


@blueprint.get("/ready")
def ready() -> tuple[Response, int]:
    """Return 200 if the broker takes events and the migrated key store responds in time, else 503.

    Both have the publish time-out. The body has the result of each check, and in words why one failed. A
    draining service is never ready; one with a full stream is, because other streams may take events.
    """
    if is_draining():
        return jsonify(status="draining"), 503
    parts = services()
    budget_s = parts.config.publish_timeout_ms / 1000
    # The checks run concurrently, so that both share one time-out.
    check_key_store = start_with_deadline(lambda: check_migrated(parts.engine), budget_s)
    failures = {
        "broker": _failure(lambda: parts.broker.check(budget_s)),
        "keyStore": _failure(check_key_store),
    }
    checks = {name: failure[0] if failure else "ok" for name, failure in failures.items()}
    reasons = {name: failure[1] for name, failure in failures.items() if failure}
    if not reasons:
        return jsonify(status="ready", checks=checks), 200
    return jsonify(status="unready", checks=checks, reasons=reasons), 503


def _failure(check: Callable[[], None]) -> tuple[str, str] | None:
    """Return the code of a failed check and the reason, without a driver's message: it may name hosts."""
    try:
        check()
    except BrokerError as error:
        return _logged(error.code, error.detail, reason_of(error))
    except NotMigrated as error:
        return _logged("not_migrated", "The database lacks this version's tables.", str(error))
    except DatabaseError as error:
        return _logged("unavailable", "The database does not respond.", str(error))
    return None


def _logged(code: str, reason: str, own_reason: str) -> tuple[str, str]:
    _log.warning("not ready", extra={"code": code, "reason": own_reason})
    return code, reason
