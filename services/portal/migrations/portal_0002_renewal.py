"""When a session's tokens may be renewed next: one process at a time, and not while the provider is away."""

from alembic import op

revision = "portal_0002"
down_revision = "portal_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; an older version beside this one does without."""
    op.execute("ALTER TABLE session ADD COLUMN IF NOT EXISTS renew_after timestamptz")
