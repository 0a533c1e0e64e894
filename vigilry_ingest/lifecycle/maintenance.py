"""What a partitioned database needs from time to time: partitions ahead of time."""

import logging
from datetime import datetime

from sqlalchemy import Engine

from vigilry_ingest.storage.engine import DatabaseError
from vigilry_ingest.storage.partitions.bounds import drop_left_bounds
from vigilry_ingest.storage.partitions.layout import layouts
from vigilry_ingest.storage.partitions.making import make_ahead

_log = logging.getLogger(__name__)


class Maintenance:
    """Makes partitions, and drops what a conversion has left that was killed; others are left alone."""

    def __init__(self, engine: Engine, period: str) -> None:
        self._engine = engine
        self._period = period
        self._reported: set[str] = set()

    def run(self, now: datetime) -> None:
        """Do what is due; a failure is logged, and tried again in the next round.

        Raises DatabaseError when the database cannot be reached.
        """
        for table, found in layouts(self._engine).items():
            if found.kind == "foreign":
                self._report(
                    f"the table {table} is partitioned by someone else, so its partitions are left alone"
                )
            elif found.kind == "own" and not found.is_owned:
                self._report(
                    f"this role does not own the table {table}, so it makes and drops no partitions: run "
                    "`flask db partition` once a month as the owner, or make this role a member of it"
                )
        try:
            for name in make_ahead(self._engine, self._period, now):
                _log.info("made a partition", extra={"table": name})
            for name in drop_left_bounds(self._engine):
                _log.warning("dropped what a killed `flask db partition` has left on the table %s", name)
        except DatabaseError as error:
            _log.warning("cannot make partitions, trying again: %s", error)

    def _report(self, message: str) -> None:
        if message not in self._reported:
            self._reported.add(message)
            _log.warning(message)
