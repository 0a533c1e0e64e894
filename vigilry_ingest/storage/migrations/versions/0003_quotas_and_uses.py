"""quotas, archived projects, and when a key was last used"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply; the columns are nullable, so that the previous version keeps working."""
    moment = sa.DateTime(timezone=True)
    op.add_column("projects", sa.Column("archived_at", moment, nullable=True))
    op.add_column("projects", sa.Column("rate_per_second", sa.Integer(), nullable=True))
    op.add_column("projects", sa.Column("burst", sa.Integer(), nullable=True))
    op.add_column("api_keys", sa.Column("last_used_at", moment, nullable=True))


def downgrade() -> None:
    """Revert."""
    op.drop_column("api_keys", "last_used_at")
    for column in ("burst", "rate_per_second", "archived_at"):
        op.drop_column("projects", column)
