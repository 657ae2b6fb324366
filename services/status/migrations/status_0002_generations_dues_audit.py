"""Evaluations name their record's generation, what waits may have a time, and lists in the audit name whom they showed."""

from alembic import op

revision = "status_0002"
down_revision = "status_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    op.execute(
        """
        ALTER TABLE evaluation ADD COLUMN record_generation integer NOT NULL DEFAULT 1;
        ALTER TABLE evaluated ADD COLUMN record_generation integer NOT NULL DEFAULT 1;
        ALTER TABLE attention ADD COLUMN due timestamptz;
        ALTER TABLE audit ADD COLUMN persons uuid[] NOT NULL DEFAULT '{}';
        CREATE INDEX audit_persons ON audit USING gin (persons);
        """
    )
