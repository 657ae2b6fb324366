"""What commands are measured by: which evaluators are paused, and which dead letters each service keeps."""

from alembic import op

revision = "shared_0002"
down_revision = "shared_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column and the table; services fill both when they start."""
    op.execute(
        """
        ALTER TABLE evaluator ADD COLUMN paused_at timestamptz;
        COMMENT ON COLUMN evaluator.paused_at IS 'since when a person has stopped all writes to the target';
        CREATE TABLE dead_letter (
            service text NOT NULL,
            id uuid NOT NULL,
            organisation text,
            PRIMARY KEY (service, id)
        );
        COMMENT ON TABLE dead_letter IS 'letters that a service keeps and that nobody has asked it to take in once more';
        """
    )
