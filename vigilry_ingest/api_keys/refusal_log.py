"""Record of refused admin keys in the audit log, bounded however many attempts there are."""

import logging
import threading
import time

from sqlalchemy import Engine

from vigilry_ingest.storage.audit_log import Change, record
from vigilry_ingest.storage.engine import DatabaseError

_log = logging.getLogger(__name__)

_INTERVAL_S = 60.0
ACTION = "admin.refuse"


class RefusalLog:
    """Appends refusals to the audit log: for each key and reason at most one row per minute and process.

    Keys that nobody has minted count as one, so the rows are bounded by the keys that there are.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._mutex = threading.Lock()
        # When a refusal may be recorded next, and how many have not been since, by key and reason.
        self._due: dict[tuple[str, str], tuple[float, int]] = {}

    def note(self, reason: str, key_id: str | None, **request: str) -> None:
        """Record a refusal, unless that was done or tried within the last minute. Never raises."""
        target = key_id or "unknown"
        now = time.monotonic()
        with self._mutex:
            due_at, skipped = self._due.get((target, reason), (now, 0))
            if now < due_at:
                self._due[target, reason] = due_at, skipped + 1
                return
            self._due[target, reason] = now + _INTERVAL_S, 0
        after = {"reason": reason, "not_recorded": skipped, **request}
        try:
            record(self._engine, Change(ACTION, target, after=after))
        except DatabaseError as error:
            with self._mutex:
                due_at, meanwhile = self._due[target, reason]
                self._due[target, reason] = due_at, meanwhile + skipped + 1
            _log.warning("refused admin key not recorded", extra={"reason": str(error)})
