"""quotas of bytes per second"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply; the column is nullable, so that the previous version keeps working."""
    op.add_column("projects", sa.Column("bytes_per_second", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    """Revert."""
    op.drop_column("projects", "bytes_per_second")
