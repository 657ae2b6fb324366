"""Commands are followed: who gave them, what they matched, when they had been carried out. The audit is listed."""

from alembic import op

revision = "status_0003"
down_revision = "status_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what is followed."""
    op.execute(
        """
        ALTER TABLE command
            ADD COLUMN type text,
            ADD COLUMN service text,
            ADD COLUMN person uuid,
            ADD COLUMN target text,
            ADD COLUMN hold uuid,
            ADD COLUMN message uuid,
            ADD COLUMN actor text,
            ADD COLUMN reason text,
            ADD COLUMN matched integer NOT NULL DEFAULT 0,
            ADD COLUMN count integer,
            ADD COLUMN carried_out_at timestamptz;
        CREATE INDEX command_listed ON command (organisation, accepted_at DESC);
        CREATE INDEX audit_listed ON audit (organisation, recorded_at DESC, id DESC);
        CREATE TABLE command_item (
            command uuid NOT NULL REFERENCES command (id),
            person uuid NOT NULL,
            target text NOT NULL,
            PRIMARY KEY (command, person, target)
        );
        """
    )
