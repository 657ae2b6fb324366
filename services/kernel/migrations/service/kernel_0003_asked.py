"""What a person asked for is marked: work to look at, letters to take in once more. A pause says for whom it was made."""

from alembic import op

revision = "kernel_0003"
down_revision = "kernel_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns, which costs nothing however many rows there are, and the index; safe to begin again."""
    op.execute(
        """
        ALTER TABLE work ADD COLUMN IF NOT EXISTS asked_at timestamptz;
        COMMENT ON COLUMN work.asked_at IS 'a person asked for a pass, and none has told what it found since';
        ALTER TABLE breaker ADD COLUMN IF NOT EXISTS paused_for text;
        COMMENT ON COLUMN breaker.paused_for IS 'the organisation whose operator paused the target';
        ALTER TABLE inbox_dead ADD COLUMN IF NOT EXISTS redeliver_at timestamptz;
        COMMENT ON COLUMN inbox_dead.redeliver_at IS 'when it is taken in once more; null: nobody has asked for it';
        """
    )
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        # what an earlier try left is not valid
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS inbox_dead_asked")
        op.execute(
            "CREATE INDEX CONCURRENTLY inbox_dead_asked ON inbox_dead (redeliver_at)"
            " WHERE redeliver_at IS NOT NULL AND redelivered_at IS NULL"
        )
        op.execute("SET lock_timeout = '3s'")
