"""times of correlations"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply; the default, which all rows so far get, lets the previous version keep working.

    The column is nullable because that version copies rows into a table like this one, without its defaults.
    """
    if op.get_context().dialect.name == "postgresql":
        # A table that an operator has partitioned may have the column.
        op.execute(
            "ALTER TABLE event_correlations ADD COLUMN IF NOT EXISTS received_at timestamp with time zone "
            "DEFAULT '1970-01-01 00:00:00+00'"
        )
        return
    default = sa.text("'1970-01-01 00:00:00.000000'")
    moment = sa.DateTime(timezone=True)
    op.add_column(
        "event_correlations", sa.Column("received_at", moment, nullable=True, server_default=default)
    )


def downgrade() -> None:
    """Revert."""
    op.drop_column("event_correlations", "received_at")
