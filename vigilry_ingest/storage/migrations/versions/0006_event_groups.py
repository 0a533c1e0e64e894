"""groups of errors"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply; the column is nullable, so that the previous version keeps working, and the index is empty."""
    grouped = sa.text("event_group IS NOT NULL")
    op.add_column("events", sa.Column("event_group", sa.String(24), nullable=True))
    op.create_index(
        "ix_events_group",
        "events",
        ["event_group", "received_at", "project_id", "kind"],
        sqlite_where=grouped,
        postgresql_where=grouped,
    )


def downgrade() -> None:
    """Revert."""
    op.drop_index("ix_events_group", "events")
    op.drop_column("events", "event_group")
