"""times of correlations"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply; the default, that of all rows so far, lets the previous version keep working."""
    if op.get_context().dialect.name == "postgresql":
        # A table that an operator has partitioned may have the column.
        op.execute(
            "ALTER TABLE event_correlations ADD COLUMN IF NOT EXISTS received_at timestamp with time zone "
            "NOT NULL DEFAULT '1970-01-01 00:00:00+00'"
        )
        return
    default = sa.text("'1970-01-01 00:00:00.000000'")
    moment = sa.DateTime(timezone=True)
    op.add_column(
        "event_correlations", sa.Column("received_at", moment, nullable=False, server_default=default)
    )


def downgrade() -> None:
    """Revert."""
    op.drop_column("event_correlations", "received_at")
