"""Alembic's entry point; runs the migrations on the connection of ``storage.migrate``."""

from alembic import context

from vigilry_ingest.storage.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    # SQLite can alter little in place; Alembic copies the table instead.
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
