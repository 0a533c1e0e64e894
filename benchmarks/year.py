"""A year of events on PostgreSQL, which makes them itself."""

from sqlalchemy import Engine, text

DAYS = 365
_PROJECTS = 20
_ROWS_AT_ONCE = 250_000

_EVENTS = text("""
    INSERT INTO events (id, job_number, project_id, environment, kind, type, severity, message, correlation,
                        payload, received_at, processed_at, request_id, event_group)
    SELECT 'evt_' || lpad(n::text, 26, '0'), n, 'proj_' || n % :projects, 'production',
           CASE WHEN n % 10 = 0 THEN 'server_error' ELSE 'event' END, 'type_' || n % 50,
           CASE WHEN n % 10 = 0 THEN 'ERROR' ELSE 'INFO' END, 'message ' || n,
           '{"order":"' || n || '"}', '{"gateway":"stripe","attempt"\\:2}',
           now() - :days * interval '1 day' * (1 - n::float / :rows), now(), 'r',
           CASE WHEN n % 10 = 0 THEN 'group_' || n % 500 END
    FROM generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) AS n
""")
_CORRELATIONS = text("""
    INSERT INTO event_correlations (event_id, name, project_id, value, received_at)
    SELECT id, 'order', project_id, job_number::text, received_at
    FROM events WHERE job_number BETWEEN :first AND :last
""")


def insert_year(engine: Engine, rows: int) -> None:
    """Insert events of the last year, each with a correlation, and collect statistics."""
    for first in range(1, rows + 1, _ROWS_AT_ONCE):
        last = min(first + _ROWS_AT_ONCE - 1, rows)
        values = {"projects": _PROJECTS, "rows": rows, "days": DAYS, "first": first, "last": last}
        with engine.begin() as connection:
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            connection.execute(_EVENTS, values)
            connection.execute(_CORRELATIONS, values)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SET statement_timeout = 0"))
        connection.execute(text("VACUUM ANALYZE events, event_correlations"))
        connection.execute(text("RESET statement_timeout"))
