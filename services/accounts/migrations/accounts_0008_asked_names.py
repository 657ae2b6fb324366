"""Names under which accounts were asked for, and mail routes among what is granted."""

from alembic import op

revision = "accounts_0008"
down_revision = "accounts_0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table, and let a mail route be granted. Safe beside the old version, which gives none."""
    op.execute("""
CREATE TABLE IF NOT EXISTS asked_name (
    organisation text NOT NULL,
    person uuid NOT NULL,
    target text NOT NULL,
    name text NOT NULL,
    asked_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organisation, person, target)
);
COMMENT ON TABLE asked_name IS 'under what name an account was asked for, until it is known what became of it';
COMMENT ON COLUMN asked_name.asked_at IS 'by the database: a directory lags in real time, whatever the business clock says';

ALTER TABLE granted DROP CONSTRAINT IF EXISTS granted_kind_check;
ALTER TABLE granted ADD CONSTRAINT granted_kind_check CHECK (kind IN ('group', 'licence', 'mail_route'));
""")
