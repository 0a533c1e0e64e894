"""retention of events by project"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply; the column is nullable, so that the previous version keeps working."""
    op.add_column("projects", sa.Column("retention_days", sa.Integer(), nullable=True))
    op.create_table(
        "leases",
        sa.Column("name", sa.String(40), primary_key=True),
        sa.Column("holder", sa.String(100), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
    )


def downgrade() -> None:
    """Revert."""
    op.drop_table("leases")
    op.drop_column("projects", "retention_days")
