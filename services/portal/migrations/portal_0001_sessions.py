"""Sessions. The portal has no messages and no work, so it has none of the kernel's tables."""

from alembic import op

revision = "portal_0001"
down_revision = None
branch_labels = ("portal",)
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.execute(
        """
        CREATE TABLE session (
            id bytea PRIMARY KEY,
            body bytea NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now(),
            seen_at timestamptz NOT NULL DEFAULT now(),
            expires_at timestamptz NOT NULL
        );
        CREATE INDEX session_expires ON session (expires_at);
        """
    )
