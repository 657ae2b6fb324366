"""The guard at the door: who is taken away by a file, from which unit, and what a person has let through."""

from alembic import op

revision = "ingestion_0009"
down_revision = "ingestion_0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add columns and an index; the version before does without them."""
    op.execute(
        """
        ALTER TABLE person_version ADD COLUMN guard_released boolean NOT NULL DEFAULT false;
        ALTER TABLE file_person ADD COLUMN takes boolean NOT NULL DEFAULT false, ADD COLUMN unit text,
            ADD COLUMN released boolean NOT NULL DEFAULT false;
        COMMENT ON COLUMN file_person.takes IS 'the person goes, unannounced: it counts in the guard';
        COMMENT ON COLUMN file_person.unit IS 'where the person is, by the employment that began last';
        COMMENT ON COLUMN file_person.released IS 'a person has let it through';
        UPDATE file_person SET takes = true WHERE missing AND NOT announced;
        CREATE INDEX file_person_held ON file_person (file) WHERE state = 'held';
        """
    )
