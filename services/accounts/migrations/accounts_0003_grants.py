"""What was granted, which units are live in which target, its rules; and names that nobody ever used."""

from alembic import op

revision = "accounts_0003"
down_revision = "accounts_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add tables and columns. Of accounts that are gone it is not known whether they were used: they count as used."""
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
    op.execute("""
ALTER TABLE account ADD COLUMN IF NOT EXISTS used boolean NOT NULL DEFAULT false;
UPDATE account SET used = true WHERE known AND (enabled_from IS NOT NULL OR state = 'absent');
COMMENT ON COLUMN account.used IS 'it has been open: its names are never given to another person';
ALTER TABLE name_reservation ADD COLUMN IF NOT EXISTS released_at timestamptz;
COMMENT ON COLUMN name_reservation.released_at IS 'nobody used it and nobody wants it; it rests before another may have it';
""")
    with op.get_context().autocommit_block():
        # it waits for whoever writes and holds nobody up; what an earlier try left is not valid
        op.execute("SET lock_timeout = 0")
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS name_reservation_released")
        op.execute(
            "CREATE INDEX CONCURRENTLY name_reservation_released ON name_reservation (organisation, released_at)"
            " WHERE released_at IS NOT NULL"
        )
        op.execute("SET lock_timeout = '3s'")
