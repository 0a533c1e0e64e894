"""Bringing a database to the tables of this version."""

from pathlib import Path

from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

from vigilry_ingest.db.session import make_folder_of, translated_errors


def upgrade(engine: Engine) -> list[str]:
    """Apply the migrations that are missing and return their names, oldest first.

    Raises DatabaseError when the database cannot be reached.
    """
    make_folder_of(engine)
    config = _config()
    with translated_errors(), engine.begin() as connection:
        before = MigrationContext.configure(connection).get_current_revision()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    scripts = ScriptDirectory.from_config(config)
    return [f"{each.revision} {each.doc}" for each in scripts.iterate_revisions("head", before)][::-1]


def is_current(engine: Engine) -> bool:
    """Tell whether every migration of this version is applied.

    Raises DatabaseError when the database cannot be reached.
    """
    with translated_errors(), engine.connect() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
    return current == ScriptDirectory.from_config(_config()).get_current_head()


def _config() -> AlembicConfig:
    config = AlembicConfig()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config
