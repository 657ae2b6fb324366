"""The organisation: units that wait for one above them, and when a planned change of a unit is reached."""

from alembic import op

revision = "ingestion_0012"
down_revision = "ingestion_0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add columns and an index; the version before does without them."""
    op.execute(
        """
        ALTER TABLE unit ADD COLUMN waits_for text[] NOT NULL DEFAULT '{}', ADD COLUMN next_boundary timestamptz;
        COMMENT ON COLUMN unit.waits_for IS 'units above it, today or by plan, that are not known yet';
        CREATE INDEX unit_waits_for ON unit (organisation) WHERE waits_for <> '{}';
        ALTER TABLE file_import ADD COLUMN records text NOT NULL DEFAULT 'persons'
            CHECK (records IN ('persons', 'units'));
        """
    )
