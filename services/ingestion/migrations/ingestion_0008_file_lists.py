"""Files in lists: counts that are kept when nothing moves by itself, and what reasons in words are made of."""

from alembic import op

revision = "ingestion_0008"
down_revision = "ingestion_0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add columns and an index; the version before does without them."""
    op.execute(
        """
        ALTER TABLE file_import ADD COLUMN counts jsonb, ADD COLUMN parameters jsonb NOT NULL DEFAULT '{}';
        COMMENT ON COLUMN file_import.counts IS 'people and rows by what they are, once nothing moves by itself';
        ALTER TABLE file_reject ADD COLUMN parameters jsonb NOT NULL DEFAULT '{}';
        CREATE INDEX file_import_newest ON file_import (organisation, seq DESC);
        """
    )
