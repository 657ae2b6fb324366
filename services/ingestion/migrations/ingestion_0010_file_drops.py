"""What lies in watched folders and is stored."""

from alembic import op

revision = "ingestion_0010"
down_revision = "ingestion_0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.execute(
        """
        CREATE TABLE file_drop (
            organisation text NOT NULL,
            source text NOT NULL,
            name text NOT NULL,
            size bigint NOT NULL,
            modified bigint NOT NULL,
            file uuid NOT NULL REFERENCES file_import ON DELETE CASCADE,
            PRIMARY KEY (organisation, source, name)
        );
        COMMENT ON TABLE file_drop IS 'files of watched folders that are stored and still lie in their folders';
        COMMENT ON COLUMN file_drop.modified IS 'nanoseconds, as the file system tells';
        CREATE INDEX file_drop_file ON file_drop (file);
        """
    )
