"""Names of erased people: only a keyed hash is left, and it is as unique as the name was."""

from alembic import op

revision = "accounts_0002"
down_revision = "accounts_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column and its index, while others reserve; safe to begin again."""
    op.execute("ALTER TABLE name_reservation ADD COLUMN IF NOT EXISTS digest bytea")
    op.execute("COMMENT ON COLUMN name_reservation.digest IS 'keyed hash of the name; of somebody erased all there is'")
    with op.get_context().autocommit_block():
        # it waits for whoever writes and holds nobody up; what an earlier try left is not valid
        op.execute("SET lock_timeout = 0")
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS name_reservation_digest")
        op.execute(
            "CREATE UNIQUE INDEX CONCURRENTLY name_reservation_digest ON name_reservation (scope, kind, digest)"
            " WHERE digest IS NOT NULL"
        )
        op.execute("SET lock_timeout = '3s'")
