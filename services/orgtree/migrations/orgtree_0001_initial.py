"""Orgtree: every version of each unit, what is in effect, where people are."""

from alembic import op

revision = "orgtree_0001"
down_revision = None
branch_labels = ("orgtree",)
depends_on = "kernel_0001"


def upgrade() -> None:
    op.execute("""
CREATE TABLE unit_member (
    organisation text NOT NULL,
    unit text NOT NULL,
    person uuid NOT NULL,
    PRIMARY KEY (organisation, unit, person)
);
CREATE INDEX unit_member_person ON unit_member (organisation, person);
COMMENT ON TABLE unit_member IS 'whose record names the unit: they are woken when it changes';

CREATE TABLE unit_version (
    organisation text NOT NULL,
    unit text NOT NULL,
    generation int NOT NULL,
    revision bigint NOT NULL,
    told_at timestamptz NOT NULL,
    seq bigint GENERATED ALWAYS AS IDENTITY,
    record jsonb NOT NULL,
    PRIMARY KEY (organisation, unit, generation, revision)
);
CREATE INDEX unit_version_seq ON unit_version (seq, organisation);
COMMENT ON TABLE unit_version IS 'every record of a unit that we were told: the tree as it was known on a day';
COMMENT ON COLUMN unit_version.told_at IS 'when the ledger recorded it';

CREATE TABLE named_leader (
    organisation text NOT NULL,
    unit text NOT NULL,
    person uuid NOT NULL,
    PRIMARY KEY (organisation, unit, person)
);
CREATE INDEX named_leader_person ON named_leader (person, organisation);
COMMENT ON TABLE named_leader IS 'who leads a unit at some time: when they come or leave, the tree is looked at';

CREATE TABLE tree (
    organisation text PRIMARY KEY,
    generation int NOT NULL,
    version bigint NOT NULL,
    effective_at timestamptz NOT NULL,
    evaluated_at timestamptz NOT NULL,
    next_due timestamptz
);

CREATE TABLE effective_unit (
    organisation text NOT NULL,
    unit text NOT NULL,
    generation int NOT NULL,
    version bigint NOT NULL,
    record_revision bigint NOT NULL,
    record jsonb,
    moved text,
    comes date,
    problems jsonb NOT NULL DEFAULT '[]',
    event text,
    PRIMARY KEY (organisation, unit)
) WITH (fillfactor = 80);
CREATE INDEX effective_unit_moved ON effective_unit (moved, organisation) WHERE moved IS NOT NULL;
COMMENT ON TABLE effective_unit IS 'what is in effect; record null: the unit is not (yet, or any more)';
COMMENT ON COLUMN effective_unit.moved IS 'the unit in effect that took it over: its people are there';
COMMENT ON COLUMN effective_unit.comes IS 'its first day, when that is to come';
COMMENT ON COLUMN effective_unit.event IS 'the last unit.changed as it was published, for replay under the same id';

CREATE TABLE placement (
    organisation text NOT NULL,
    person uuid NOT NULL,
    generation int NOT NULL,
    version bigint NOT NULL,
    record_generation int NOT NULL,
    revision bigint NOT NULL,
    unit text,
    place jsonb,
    memberships jsonb NOT NULL,
    missing text,
    missing_due timestamptz,
    changed_at timestamptz NOT NULL,
    signature text NOT NULL,
    event text,
    PRIMARY KEY (organisation, person)
) WITH (fillfactor = 80);
CREATE INDEX placement_missing ON placement (missing, organisation) WHERE missing IS NOT NULL;
COMMENT ON COLUMN placement.signature IS 'what was last published as service.evaluated';

CREATE TABLE membership (
    organisation text NOT NULL,
    person uuid NOT NULL,
    employment uuid NOT NULL,
    named text NOT NULL,
    unit text,
    main boolean NOT NULL,
    hidden boolean NOT NULL,
    PRIMARY KEY (organisation, person, employment)
);
CREATE INDEX membership_unit ON membership (unit, organisation, person) WHERE unit IS NOT NULL;
CREATE INDEX membership_named ON membership (named, organisation);
COMMENT ON TABLE membership IS 'who is in a unit now, by the main employment or by another one';
COMMENT ON COLUMN membership.hidden IS 'the person has a protected identity';
COMMENT ON COLUMN membership.named IS 'the unit that the record names';
COMMENT ON COLUMN membership.unit IS 'the unit in effect where that is: itself, or who took it over';
""")
