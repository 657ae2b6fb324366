"""A person may stop all writes to a target: a pause, beside the breaker that opens by itself."""

from alembic import op

revision = "kernel_0002"
down_revision = "kernel_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    op.execute(
        "ALTER TABLE breaker ADD COLUMN paused_at timestamptz, ADD COLUMN paused_by text, ADD COLUMN pause_reason text"
    )
