"""What was urgent is replayed first, so it has to be found without reading every version."""

from alembic import op

revision = "ingestion_0002"
down_revision = "ingestion_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the index, while events are being accepted."""
    with op.get_context().autocommit_block():
        op.execute(
            "CREATE INDEX CONCURRENTLY IF NOT EXISTS person_version_urgent ON person_version (recorded_at)"
            " INCLUDE (organisation, person) WHERE lane = 'express'"
        )
