"""What each queue is bound to: a topic that is new to a queue was missed until now."""

from alembic import op

revision = "kernel_0008"
down_revision = "kernel_0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE queue ADD COLUMN IF NOT EXISTS bindings text[] NOT NULL DEFAULT '{}'")
    op.execute("COMMENT ON COLUMN queue.bindings IS 'what has come to it since it was ready'")
