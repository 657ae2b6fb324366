"""An activation knows how many there have been and which table stood before, so that the two can be compared."""

from alembic import op

revision = "kernel_0005"
down_revision = "kernel_0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns, which costs nothing: there is one row for each table; safe to begin again."""
    op.execute(
        "ALTER TABLE policy_active ADD COLUMN IF NOT EXISTS version integer NOT NULL DEFAULT 1,"
        " ADD COLUMN IF NOT EXISTS previous text REFERENCES policy_content (hash)"
    )
