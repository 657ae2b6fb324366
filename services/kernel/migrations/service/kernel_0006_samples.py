"""What a service's work looked like every ten seconds, for a day: a page that is opened has its lines at once."""

from alembic import op

revision = "kernel_0006"
down_revision = "kernel_0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table; safe to begin again."""
    op.execute(
        """
        CREATE TABLE IF NOT EXISTS sample (
            at timestamptz PRIMARY KEY,
            published bigint NOT NULL,
            taken_in bigint NOT NULL,
            passes bigint NOT NULL,
            failed bigint NOT NULL,
            unpublished bigint NOT NULL,
            wanted bigint NOT NULL,
            ready bigint
        );
        COMMENT ON TABLE sample IS 'ten seconds from `at` on; the first four count within them, for all replicas';
        COMMENT ON COLUMN sample.ready IS 'messages in the broker''s queues of the service; null: it could not be asked';
        """
    )
