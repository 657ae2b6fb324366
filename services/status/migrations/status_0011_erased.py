"""Whose content is emptied: lists do not show them, and what still arrives of them is emptied too."""

from alembic import op

revision = "status_0011"
down_revision = "status_0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a column; the version before does without it."""
    op.execute("ALTER TABLE person ADD COLUMN IF NOT EXISTS erased boolean NOT NULL DEFAULT false")
