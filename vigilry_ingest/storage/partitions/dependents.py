"""What else depends on a table: it would not follow when another table takes its name."""

from sqlalchemy import Connection, text

from vigilry_ingest.storage.engine import DatabaseError
from vigilry_ingest.storage.partitions.locks import quoted

_DEPENDENTS = text("""
    SELECT DISTINCT 'view ' || r.ev_class::regclass
    FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid
    WHERE d.classid = 'pg_rewrite'::regclass AND d.refobjid = to_regclass(:table)
    AND r.ev_class <> d.refobjid
    UNION ALL SELECT 'foreign key ' || conname FROM pg_constraint WHERE confrelid = to_regclass(:table)
    UNION ALL SELECT 'trigger ' || tgname FROM pg_trigger
    WHERE tgrelid = to_regclass(:table) AND NOT tgisinternal
    UNION ALL SELECT 'policy ' || polname FROM pg_policy WHERE polrelid = to_regclass(:table)
    UNION ALL SELECT 'publication ' || pubname
    FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid WHERE prrelid = to_regclass(:table)
    UNION ALL SELECT 'child table ' || inhrelid::regclass
    FROM pg_inherits WHERE inhparent = to_regclass(:table)
    ORDER BY 1
""")
_PRIVILEGES = text("""
    SELECT CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END AS grantee,
           privilege_type, is_grantable
    FROM pg_class, aclexplode(relacl) WHERE oid = to_regclass(:table) AND grantee <> relowner
""")
_OWNER = text("SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = to_regclass(:table)")


def check_unused(connection: Connection, table: str) -> None:
    """Check that nothing depends on a table.

    Raises DatabaseError.
    """
    found = connection.scalars(_DEPENDENTS, {"table": table}).all()
    if found:
        raise DatabaseError(
            f"The table {table} cannot be partitioned, because of the {', '.join(found)}: drop "
            f"{'it' if len(found) == 1 else 'them'} first, and create {'it' if len(found) == 1 else 'them'} "
            "again afterwards."
        )


def copy_privileges(connection: Connection, source: str, target: str) -> None:
    """Set the owner and the privileges of a table to those of another one."""
    copy_owner(connection, source, target)
    for row in connection.execute(_PRIVILEGES, {"table": source}).all():
        option = " WITH GRANT OPTION" if row.is_grantable else ""
        connection.exec_driver_sql(f"GRANT {row.privilege_type} ON {target} TO {row.grantee}{option}")


def copy_owner(connection: Connection, source: str, target: str) -> None:
    """Set the owner of a table to that of another one, of which this role may only be a member."""
    owner = connection.scalar(_OWNER, {"table": source})
    if owner is not None and owner != connection.scalar(_OWNER, {"table": target}):
        connection.exec_driver_sql(f"ALTER TABLE {target} OWNER TO {quoted(connection, owner)}")
