"""Commands are followed: who gave them, what they matched, when they had been carried out. The audit is listed."""

from alembic import op

revision = "status_0003"
down_revision = "status_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what is followed, while others read and write; safe to begin again."""
    op.execute(
        """
        ALTER TABLE command
            ADD COLUMN IF NOT EXISTS type text,
            ADD COLUMN IF NOT EXISTS service text,
            ADD COLUMN IF NOT EXISTS person uuid,
            ADD COLUMN IF NOT EXISTS target text,
            ADD COLUMN IF NOT EXISTS hold uuid,
            ADD COLUMN IF NOT EXISTS message uuid,
            ADD COLUMN IF NOT EXISTS actor text,
            ADD COLUMN IF NOT EXISTS reason text,
            ADD COLUMN IF NOT EXISTS matched integer NOT NULL DEFAULT 0,
            ADD COLUMN IF NOT EXISTS count integer,
            ADD COLUMN IF NOT EXISTS carried_out_at timestamptz;
        CREATE TABLE IF NOT EXISTS command_item (
            command uuid NOT NULL REFERENCES command (id),
            person uuid NOT NULL,
            target text NOT NULL,
            PRIMARY KEY (command, person, target)
        );
        """
    )
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        # what an earlier try left is not valid
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS command_listed")
        op.execute("CREATE INDEX CONCURRENTLY command_listed ON command (organisation, accepted_at DESC)")
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS audit_listed")
        op.execute("CREATE INDEX CONCURRENTLY audit_listed ON audit (organisation, recorded_at DESC, id DESC)")
        op.execute("SET lock_timeout = '3s'")
