"""scrubbing of events by project"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply; the column is nullable, so that the previous version keeps working."""
    op.add_column("projects", sa.Column("scrubbing", sa.Text(), nullable=True))


def downgrade() -> None:
    """Revert."""
    op.drop_column("projects", "scrubbing")
