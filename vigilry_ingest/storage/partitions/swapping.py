"""Making a table the first partition of a new one that takes its name."""

from datetime import datetime

from sqlalchemy import Connection, Table, exists, select

from vigilry_ingest.storage.partitions.dependents import copy_privileges
from vigilry_ingest.storage.partitions.layout import TABLES, bound_of, read_layout
from vigilry_ingest.storage.partitions.locks import lock_against_vacuum, may_change_partitions
from vigilry_ingest.storage.partitions.making import key_of, make_parent, make_partitions
from vigilry_ingest.storage.partitions.periods import start_of

# A swap takes a fraction of it, unless PostgreSQL builds an index or reads the table after all.
_SWAP_MS = 5000


def plain_tables(connection: Connection) -> list[Table]:
    """Return the tables of events that are not partitioned, or none if an operator has partitioned one."""
    kinds = [read_layout(connection, table.name).kind for table in TABLES]
    if "foreign" in kinds:
        return []
    return [table for table, kind in zip(TABLES, kinds, strict=True) if kind == "plain"]


def partition_empty_tables(connection: Connection, period: str, now: datetime) -> list[str]:
    """Partition the tables that have no rows, within a transaction; return their names."""
    done: list[str] = []
    if connection.dialect.name != "postgresql" or not may_change_partitions(connection):
        return done
    for table in plain_tables(connection):
        if not _is_empty(connection, table):
            continue
        connection.exec_driver_sql(f"LOCK TABLE {table.name} IN ACCESS EXCLUSIVE MODE")
        if _is_empty(connection, table):
            name, create = key_index_of(table)
            connection.exec_driver_sql(f"DROP INDEX IF EXISTS {name}")
            connection.exec_driver_sql(create.replace(" CONCURRENTLY", ""))
            _turn_into_partition(connection, table, start_of(period, now))
            make_partitions(connection, table, period, now)
            done.append(table.name)
    return done


def key_index_of(table: Table) -> tuple[str, str]:
    """Return the name of the first partition's primary key, and the statement that makes its index."""
    name, columns = f"pk_{table.name}_first", ", ".join(key_of(table))
    return name, f"CREATE UNIQUE INDEX CONCURRENTLY {name} ON {table.name} ({columns})"


def swap(connection: Connection, table: Table, end: datetime) -> None:
    """Make a table that has all indexes and a bound the partition of what is from before its end.

    It holds the lock for as long as changes of the catalog take. Others who wait for the table find the new
    one by its name.
    """
    connection.exec_driver_sql(f"SET LOCAL statement_timeout = {_SWAP_MS}")
    lock_against_vacuum(connection, table.name, "SHARE UPDATE EXCLUSIVE")
    connection.exec_driver_sql(f"LOCK TABLE {table.name} IN ACCESS EXCLUSIVE MODE")
    _turn_into_partition(connection, table, end)
    connection.exec_driver_sql(f"ALTER TABLE {table.name}_first DROP CONSTRAINT {bound_of(table.name)}")


def _turn_into_partition(connection: Connection, table: Table, end: datetime) -> None:
    name, first = table.name, f"{table.name}_first"
    run = connection.exec_driver_sql
    run(f"ALTER TABLE {name} RENAME TO {first}")
    for index in table.indexes:
        run(f"ALTER INDEX {index.name} RENAME TO {str(index.name).replace(name, first)}")
    run(f"ALTER TABLE {first} DROP CONSTRAINT pk_{name}")
    run(f"ALTER TABLE {first} ADD CONSTRAINT pk_{first} PRIMARY KEY USING INDEX pk_{first}")
    make_parent(connection, table, first)
    run(f"ALTER TABLE {name} ATTACH PARTITION {first} FOR VALUES FROM (MINVALUE) TO ('{end.isoformat()}')")
    copy_privileges(connection, first, name)


def _is_empty(connection: Connection, table: Table) -> bool:
    return not connection.scalar(select(exists(select(table.c.received_at))))
