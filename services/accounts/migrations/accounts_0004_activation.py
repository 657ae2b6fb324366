"""Activation codes, as keyed hashes, and how often somebody has tried one."""

from alembic import op

revision = "accounts_0004"
down_revision = "accounts_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add tables; nothing that is there is touched."""
    op.execute("""
CREATE TABLE activation (
    id uuid PRIMARY KEY,
    organisation text NOT NULL,
    person uuid NOT NULL,
    state text NOT NULL CHECK (state IN ('issued', 'fetched', 'spent', 'locked', 'void')),
    way text NOT NULL CHECK (way IN ('manager', 'private')),
    issued_by text NOT NULL,
    issued_at timestamptz NOT NULL,
    fetched_at timestamptz,
    expires_at timestamptz NOT NULL,
    spent_at timestamptz,
    over_at timestamptz NOT NULL,
    digest bytea,
    tries int NOT NULL DEFAULT 0,
    done text[] NOT NULL DEFAULT '{}',
    attempt uuid,
    busy_until timestamptz
);
CREATE UNIQUE INDEX activation_open ON activation (organisation, person) WHERE state IN ('issued', 'fetched');
CREATE INDEX activation_person ON activation (organisation, person, issued_at);
CREATE INDEX activation_over ON activation (organisation, over_at);
COMMENT ON COLUMN activation.digest IS 'keyed hash of the code, while it can be used';
COMMENT ON COLUMN activation.done IS 'targets in which the password was set with this code';
COMMENT ON COLUMN activation.over_at IS 'since when it is of no use (database time), by which it is purged';
COMMENT ON COLUMN activation.attempt IS 'who uses the code now; until busy_until (database time) nobody else does';

CREATE TABLE activation_attempt (
    kind text NOT NULL CHECK (kind IN ('login', 'address', 'all')),
    key bytea NOT NULL,
    began_at timestamptz NOT NULL DEFAULT now(),
    tries int NOT NULL DEFAULT 1,
    PRIMARY KEY (kind, key)
);
CREATE INDEX activation_attempt_began ON activation_attempt (began_at);
COMMENT ON TABLE activation_attempt IS 'failed activations by login, address and in all; keys are keyed hashes';
""")
