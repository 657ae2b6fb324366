"""Which revisions said that somebody is protected: what their accounts were called before is told of nobody who was."""

from alembic import op

revision = "status_0012"
down_revision = "status_0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a column; the version before does without it."""
    op.execute("ALTER TABLE person_revision ADD COLUMN IF NOT EXISTS protected boolean NOT NULL DEFAULT false")
    op.execute(
        "UPDATE person_revision r SET protected = true FROM person p WHERE p.protection <> 'none'"
        " AND (r.organisation, r.person, r.generation, r.revision)"
        " = (p.organisation, p.person, p.generation, p.revision)"
    )
