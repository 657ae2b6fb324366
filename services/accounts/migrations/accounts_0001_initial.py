"""Accounts: what stands in the targets, names that are a person's for ever, which unit concerns whom."""

from alembic import op

revision = "accounts_0001"
down_revision = None
branch_labels = ("accounts",)
depends_on = "kernel_0001"


def upgrade() -> None:
    op.execute("""
CREATE TABLE account (
    organisation text NOT NULL,
    person uuid NOT NULL,
    target text NOT NULL,
    state text NOT NULL CHECK (state IN ('absent', 'disabled', 'enabled')),
    user_name text,
    mail text,
    entry text,
    generation int NOT NULL,
    version bigint NOT NULL,
    changed_at timestamptz NOT NULL,
    verified_at timestamptz NOT NULL,
    known boolean NOT NULL DEFAULT false,
    enabled_from timestamptz,
    closed_at timestamptz,
    echoes text[] NOT NULL DEFAULT '{}',
    hold uuid,
    signature text,
    next_due timestamptz,
    event text,
    endings jsonb NOT NULL DEFAULT '[]',
    PRIMARY KEY (organisation, person, target)
) WITH (fillfactor = 80);
CREATE INDEX account_managed ON account (organisation, target) WHERE state <> 'absent';
COMMENT ON COLUMN account.known IS 'there is, or has been, an entry in the target';
COMMENT ON COLUMN account.closed_at IS 'business time at which we closed an account that had been enabled';
COMMENT ON COLUMN account.echoes IS 'digests of values that the server returns otherwise than they were written';
COMMENT ON COLUMN account.signature IS 'what was last published as service.evaluated, without times of verification';
COMMENT ON COLUMN account.endings IS 'since when (business time) the present end of each employment has been known';
COMMENT ON COLUMN account.event IS 'the last account.changed as it was published, for replay under the same id';

CREATE TABLE name_reservation (
    scope text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('login', 'mail')),
    value text NOT NULL,
    organisation text NOT NULL,
    person uuid NOT NULL,
    stem text NOT NULL,
    reserved_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    refused_at timestamptz,
    PRIMARY KEY (scope, kind, value)
);
CREATE INDEX name_reservation_person ON name_reservation (organisation, person);
COMMENT ON TABLE name_reservation IS 'a name is never given to another person: rows are never deleted';
COMMENT ON COLUMN name_reservation.refused_at IS 'something in the directory that is not ours has the name';

CREATE TABLE unit_member (
    organisation text NOT NULL,
    unit text NOT NULL,
    person uuid NOT NULL,
    PRIMARY KEY (organisation, unit, person)
);
CREATE INDEX unit_member_person ON unit_member (organisation, person);
COMMENT ON TABLE unit_member IS 'whose record names the unit: they are woken when it is recorded';
""")
