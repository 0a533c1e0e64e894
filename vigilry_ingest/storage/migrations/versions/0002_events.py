"""stored events"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "events",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("job_number", sa.BigInteger(), nullable=False),
        sa.Column("project_id", sa.String(40), nullable=False),
        sa.Column("environment", sa.String(20), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("severity", sa.String(10), nullable=False),
        sa.Column("source", sa.Text(), nullable=True),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("correlation", sa.Text(), nullable=True),
        sa.Column("payload", sa.Text(), nullable=True),
        sa.Column("received_at", moment, nullable=False),
        sa.Column("processed_at", moment, nullable=False),
        sa.Column("idempotency_key", sa.Text(), nullable=True),
        sa.Column("traceparent", sa.String(60), nullable=True),
        sa.Column("request_id", sa.String(140), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
    )
    op.create_index("ix_events_project_time", "events", ["project_id", "received_at"])
    op.create_index("ix_events_project_type_time", "events", ["project_id", "type", "received_at"])
    op.create_index("ix_events_project_severity_time", "events", ["project_id", "severity", "received_at"])
    op.create_index("ix_events_time", "events", ["received_at", "id"])
    op.create_index("ix_events_job", "events", ["job_number", "id"])
    op.create_table(
        "event_correlations",
        sa.Column("event_id", sa.String(40), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("project_id", sa.String(40), nullable=False),
        sa.Column("value", sa.String(200), nullable=False),
        sa.PrimaryKeyConstraint("event_id", "name", name="pk_event_correlations"),
    )
    op.create_index("ix_event_correlations_lookup", "event_correlations", ["name", "value", "project_id"])


def downgrade() -> None:
    """Revert."""
    op.drop_table("event_correlations")
    op.drop_table("events")
