"""A file that takes over who is there already."""

from alembic import op

revision = "ingestion_0011"
down_revision = "ingestion_0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a column; the version before does without it."""
    op.execute(
        """
        ALTER TABLE file_import ADD COLUMN baseline boolean NOT NULL DEFAULT false;
        COMMENT ON COLUMN file_import.baseline IS 'employments that it names first were there before Stafett';
        """
    )
