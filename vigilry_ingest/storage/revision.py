"""Applied schema revision, read without Alembic, which would slow down the start of every process."""

from pathlib import Path

from sqlalchemy import Column, Engine, MetaData, String, Table, select

from vigilry_ingest.storage.engine import NotMigrated, session_on

# Alembic's own table: https://alembic.sqlalchemy.org/en/latest/api/runtime.html
_APPLIED = Table("alembic_version", MetaData(), Column("version_num", String(32)))
# The revisions that this version knows, newest last; file names begin with the revision.
_KNOWN = sorted(
    path.name.partition("_")[0] for path in (Path(__file__).parent / "migrations/versions").glob("[0-9]*.py")
)


def check_migrated(engine: Engine) -> None:
    """Check that the database has the tables of this version or a later one.

    Raises NotMigrated, and DatabaseError when the database cannot be reached.
    """
    applied = _applied_to(engine)
    if applied is None or applied in _KNOWN[:-1]:
        raise NotMigrated


def unknown_revision(engine: Engine) -> str | None:
    """Return the database's revision if this version does not know it, as a later one migrated it.

    Raises NotMigrated and DatabaseError.
    """
    applied = _applied_to(engine)
    return None if applied in _KNOWN else applied


def _applied_to(engine: Engine) -> str | None:
    with session_on(engine) as session:
        return session.scalar(select(_APPLIED.c.version_num))
