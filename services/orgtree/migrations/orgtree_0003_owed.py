"""Orgtree: units whose people are to be looked at once what is in effect can be seen by everybody."""

from alembic import op

revision = "orgtree_0003"
down_revision = "orgtree_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
ALTER TABLE tree ADD COLUMN IF NOT EXISTS owed text[] NOT NULL DEFAULT '{}';
COMMENT ON COLUMN tree.owed IS 'units that changed at the last pass: the next one wakes their people';
""")
