"""Alembic's way in: run the migrations on the connection that ``db.migrate`` hands over."""

from alembic import context

from vigilry_ingest.storage.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    # SQLite can alter hardly anything in place; Alembic then copies the table.
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
