"""How a table is partitioned, read from PostgreSQL's catalog."""

from datetime import datetime
from typing import Literal, NamedTuple

from sqlalchemy import Connection, Engine, text

from vigilry_ingest.storage.engine import session_on
from vigilry_ingest.storage.models import Base, EventCorrelation, StoredEvent

# In the order in which writers lock them.
TABLES = tuple(Base.metadata.tables[each.__tablename__] for each in (StoredEvent, EventCorrelation))

# The comment on a table whose partitions are made and dropped by this program. A table that an operator has
# partitioned has another one, or none.
MARK = "partitioned by vigilry-ingest"

_TABLE = text("""
    SELECT pg_get_partkeydef(oid) AS key, obj_description(oid, 'pg_class') AS comment,
           pg_has_role(relowner, 'USAGE') AS is_owned
    FROM pg_class WHERE oid = to_regclass(:table)
""")
_PARTITIONS = text("""
    SELECT name,
           (regexp_match(bounds, 'FROM \\(''([^'']+)''\\)'))[1]::timestamptz AS start,
           (regexp_match(bounds, 'TO \\(''([^'']+)''\\)'))[1]::timestamptz AS "end"
    FROM (
        SELECT c.relname AS name, pg_get_expr(c.relpartbound, c.oid) AS bounds
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = to_regclass(:table)
    ) AS partitions
    ORDER BY 3 NULLS LAST
""")


def default_of(table: str) -> str:
    """Return the name of a table's default partition, which has the rows that no other one takes."""
    return f"{table}_default"


def bound_of(table: str) -> str:
    """Return the name of the bound of a table or default partition; see ``bounds.py``."""
    return f"ck_{table}_bound"


class Partition(NamedTuple):
    """A partition of the rows from ``start``, or of all before ``end``; the default one has neither."""

    name: str
    start: datetime | None
    end: datetime | None


class Layout(NamedTuple):
    """How a table is partitioned: not, by this program, or by someone else.

    Only who ``is_owned`` says is the owner can make and drop partitions. They are in the order of time.
    """

    kind: Literal["plain", "own", "foreign"]
    is_owned: bool = False
    partitions: tuple[Partition, ...] = ()

    @property
    def is_managed(self) -> bool:
        """Return whether partitions are made and dropped."""
        return self.kind == "own" and self.is_owned

    @property
    def ranges(self) -> list[Partition]:
        """Return the partitions except the default one."""
        return [each for each in self.partitions if each.end is not None]


def read_layout(connection: Connection, table: str) -> Layout:
    """Return how a table is partitioned; none is on SQLite."""
    if connection.dialect.name != "postgresql":
        return Layout("plain")
    row = connection.execute(_TABLE, {"table": table}).one()
    if row.key is None:
        return Layout("plain", row.is_owned)
    if row.key != "RANGE (received_at)" or row.comment != MARK:
        return Layout("foreign", row.is_owned)
    rows = connection.execute(_PARTITIONS, {"table": table}).all()
    return Layout("own", row.is_owned, tuple(Partition(*each) for each in rows))


def layouts(engine: Engine) -> dict[str, Layout]:
    """Return how the tables of events are partitioned, by name.

    Raises DatabaseError.
    """
    with session_on(engine) as session:
        return {table.name: read_layout(session.connection(), table.name) for table in TABLES}
