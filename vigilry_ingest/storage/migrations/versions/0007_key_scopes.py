"""scopes and origins of API keys"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply; the columns are nullable, so that the previous version keeps working."""
    op.add_column("api_keys", sa.Column("scopes", sa.String(40), nullable=True))
    op.add_column("api_keys", sa.Column("origins", sa.Text(), nullable=True))


def downgrade() -> None:
    """Revert; a key that was limited to sending could read again, so such keys are revoked."""
    op.execute(
        "UPDATE api_keys SET revoked_at = CURRENT_TIMESTAMP "
        "WHERE revoked_at IS NULL AND (scopes IS NOT NULL OR origins IS NOT NULL)"
    )
    op.drop_column("api_keys", "origins")
    op.drop_column("api_keys", "scopes")
