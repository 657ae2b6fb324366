"""Where people are in the organisation, as orgtree told last."""

from alembic import op

revision = "status_0013"
down_revision = "status_0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a table; the version before does without it."""
    op.execute("""
CREATE TABLE IF NOT EXISTS place (
    organisation text NOT NULL,
    person uuid NOT NULL,
    generation int NOT NULL,
    version bigint NOT NULL,
    unit text,
    memberships text[] NOT NULL,
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (organisation, person)
) WITH (fillfactor = 80);
COMMENT ON TABLE place IS 'where somebody is; unit null: nowhere now. memberships: units of other employments';
""")
