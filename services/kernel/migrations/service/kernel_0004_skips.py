"""What a person decided to skip, by the wish that it was decided about."""

from alembic import op

revision = "kernel_0004"
down_revision = "kernel_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; a row without it skips nothing."""
    op.execute("ALTER TABLE work ADD COLUMN skipped bigint")
