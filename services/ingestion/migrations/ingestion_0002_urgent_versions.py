"""What was urgent is replayed first, so it has to be found without reading every version."""

from alembic import op

revision = "ingestion_0002"
down_revision = "ingestion_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the index, while events are being accepted; safe to begin again."""
    with op.get_context().autocommit_block():
        # it waits for whoever writes and holds nobody up; what an earlier try left is not valid
        op.execute("SET lock_timeout = 0")
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS person_version_urgent")
        op.execute(
            "CREATE INDEX CONCURRENTLY person_version_urgent ON person_version (recorded_at)"
            " INCLUDE (organisation, person) WHERE lane = 'express'"
        )
        op.execute("SET lock_timeout = '3s'")
