"""What was urgent is replayed first, so it has to be found without reading every version."""

from alembic import op

revision = "ingestion_0002"
down_revision = "ingestion_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the index."""
    op.execute("CREATE INDEX person_version_urgent ON person_version (seq) WHERE lane = 'express'")
