"""Partitioning tables that have rows, which stay where they are, while events are stored."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial

from sqlalchemy import Engine, Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex

from vigilry_ingest.storage.engine import DatabaseError, session_on
from vigilry_ingest.storage.partitions.adoption import adopt_defaults
from vigilry_ingest.storage.partitions.bounds import add_bound, drop_bound
from vigilry_ingest.storage.partitions.dependents import check_unused
from vigilry_ingest.storage.partitions.locks import alone, with_brief_locks
from vigilry_ingest.storage.partitions.long_statements import LongStatements
from vigilry_ingest.storage.partitions.making import make_ahead
from vigilry_ingest.storage.partitions.periods import next_start
from vigilry_ingest.storage.partitions.swapping import key_index_of, plain_tables, swap

_ATTEMPTS = 200


class Conversion:
    """Makes each plain table the first partition of a partitioned one.

    A conversion that was killed is continued by another one: indexes that are complete are not built again,
    and the rest takes little time. ``tables`` are the plain ones, and ``STEPS`` is how many steps each has.
    """

    STEPS = 3

    def __init__(self, engine: Engine, period: str) -> None:
        """Find the tables; raises DatabaseError."""
        self._engine = engine
        self._period = period
        with session_on(engine) as session:
            self.tables = plain_tables(session.connection())

    def run(self) -> Iterator[str]:
        """Convert the tables, make partitions ahead, and yield what each step has done.

        Raises DatabaseError.
        """
        with alone(self._engine):
            for table in self.tables:
                yield from self._convert(table)
            yield from adopt_defaults(self._engine, self._period, datetime.now(UTC))
        for name in make_ahead(self._engine, self._period, datetime.now(UTC)):
            yield f"made the partition {name}"

    def _convert(self, table: Table) -> Iterator[str]:
        with session_on(self._engine) as session:
            check_unused(session.connection(), table.name)
        long = LongStatements(self._engine)
        for name, create in _indexes_of(table):
            long.build_index(table.name, name, create)
        yield f"built the indexes of {table.name}"
        # Far enough for the rest, however long the table is.
        end = next_start(self._period, next_start(self._period, datetime.now(UTC)))
        try:
            add_bound(self._engine, table.name, None, end)
            yield f"checked the times in {table.name}"
            run = partial(swap, table=table, end=end)
            with_brief_locks(self._engine, run, attempts=_ATTEMPTS, table=table.name)
        except BaseException:
            # If this fails too, or the process is killed, workers do it.
            with suppress(DatabaseError):
                drop_bound(self._engine, table.name)
            raise
        long.analyze(table.name)
        yield f"partitioned {table.name}: what it had is {table.name}_first, up to {end:%Y-%m-%d}"


def _indexes_of(table: Table) -> Iterator[tuple[str, str]]:
    """Yield all indexes that a partition must have, so that it is attached without building one."""
    yield key_index_of(table)
    for index in table.indexes:
        statement = str(CreateIndex(index).compile(dialect=postgresql.dialect()))  # type: ignore[no-untyped-call]  # SQLAlchemy has no type for it
        yield str(index.name), statement.replace("INDEX", "INDEX CONCURRENTLY", 1)
