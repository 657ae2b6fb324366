"""What was granted, which units are live in which target, and by which rules a target was last written."""

from alembic import op

revision = "accounts_0003"
down_revision = "accounts_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add tables; nothing that is there is touched."""
    op.execute("""
CREATE TABLE granted (
    organisation text NOT NULL,
    person uuid NOT NULL,
    target text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('group', 'licence')),
    value text NOT NULL,
    granted_at timestamptz NOT NULL,
    confirmed boolean NOT NULL DEFAULT false,
    PRIMARY KEY (organisation, person, target, kind, value)
);
COMMENT ON TABLE granted IS 'groups and licences that we gave, written before they are given: only these are taken away';
COMMENT ON COLUMN granted.confirmed IS 'it was seen to be there; when it is not any more, another hand has taken it';

CREATE TABLE live_unit (
    organisation text NOT NULL,
    target text NOT NULL,
    unit text NOT NULL,
    since timestamptz NOT NULL DEFAULT now(),
    actor text NOT NULL,
    reason text NOT NULL,
    PRIMARY KEY (organisation, target, unit)
);
COMMENT ON TABLE live_unit IS 'units whose people are written in a target that goes live in stages; * is all of them';

CREATE TABLE target_rules (
    target text PRIMARY KEY,
    digest text NOT NULL
);
COMMENT ON TABLE target_rules IS 'what the gate let through when the service last started: when it changes, all look again';
""")
