"""Orgtree: what stands in the targets for each unit, and who is a member of its groups."""

from alembic import op

revision = "orgtree_0002"
down_revision = "orgtree_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
ALTER TABLE effective_unit ADD COLUMN parent text GENERATED ALWAYS AS (record #>> '{path,-2}') STORED;
CREATE INDEX effective_unit_parent ON effective_unit (parent, organisation) WHERE parent IS NOT NULL;

CREATE TABLE leader (
    organisation text NOT NULL,
    unit text NOT NULL,
    person uuid NOT NULL,
    PRIMARY KEY (organisation, unit, person)
);
CREATE INDEX leader_person ON leader (person, organisation);
COMMENT ON TABLE leader IS 'who is named for a unit in effect and works here';

CREATE TABLE account (
    organisation text NOT NULL,
    person uuid NOT NULL,
    target text NOT NULL,
    generation int NOT NULL,
    version bigint NOT NULL,
    entry text,
    enabled boolean NOT NULL,
    PRIMARY KEY (organisation, person, target)
);
COMMENT ON TABLE account IS 'accounts as they were last told; entry null: there is none';

CREATE TABLE target_rules (
    target text PRIMARY KEY,
    digest text NOT NULL
);
COMMENT ON TABLE target_rules IS 'by which rules units were last written in a target: when they change, all are looked at';

CREATE TABLE projection (
    organisation text NOT NULL,
    target text NOT NULL,
    unit text NOT NULL,
    generation int NOT NULL,
    version bigint NOT NULL,
    closing boolean NOT NULL DEFAULT false,
    problem text,
    verified_at timestamptz,
    moved_at timestamptz,
    PRIMARY KEY (organisation, target, unit)
) WITH (fillfactor = 80);
COMMENT ON COLUMN projection.moved_at IS 'when its entry was last made, moved or taken away: others may have waited for that';
COMMENT ON COLUMN projection.closing IS 'the unit is not in effect any more, and the guard lets what stands for it be taken away';
COMMENT ON COLUMN projection.problem IS 'why not all of it stands as it shall';

CREATE TABLE unit_object (
    organisation text NOT NULL,
    target text NOT NULL,
    unit text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('entry', 'unit', 'managers', 'rollup')),
    entry text NOT NULL,
    name text NOT NULL,
    place text NOT NULL,
    PRIMARY KEY (organisation, target, unit, kind)
) WITH (fillfactor = 80);
COMMENT ON TABLE unit_object IS 'what stands in a target for a unit, as it was last verified; entry: its immutable id';

CREATE TABLE group_member (
    organisation text NOT NULL,
    target text NOT NULL,
    unit text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('unit', 'managers')),
    person uuid NOT NULL,
    wanted boolean NOT NULL,
    entry text,
    held text,
    name text,
    PRIMARY KEY (organisation, target, unit, kind, person)
) WITH (fillfactor = 80);
CREATE INDEX group_member_person ON group_member (person, organisation, target);
CREATE INDEX group_member_due ON group_member (organisation, target, unit)
    WHERE (wanted AND held IS DISTINCT FROM entry) OR NOT wanted;
COMMENT ON TABLE group_member IS 'who shall be a member of a group (wanted, as entry), and who is (held, by the name)';

CREATE TABLE grouping (
    organisation text NOT NULL,
    person uuid NOT NULL,
    target text NOT NULL,
    signature text NOT NULL,
    PRIMARY KEY (organisation, person, target)
) WITH (fillfactor = 80);
COMMENT ON TABLE grouping IS 'what was last published of somebody''s memberships as service.evaluated';

CREATE TABLE adoption (
    organisation text NOT NULL,
    target text NOT NULL,
    unit text NOT NULL,
    kind text NOT NULL,
    entry text NOT NULL,
    actor text NOT NULL,
    reason text NOT NULL,
    approved_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organisation, target, unit, kind)
);
COMMENT ON TABLE adoption IS 'what somebody else made and a person lets us take over';

CREATE TABLE candidate (
    organisation text NOT NULL,
    target text NOT NULL,
    unit text NOT NULL,
    kind text NOT NULL,
    entry text NOT NULL,
    place text NOT NULL,
    PRIMARY KEY (organisation, target, unit, kind)
);
COMMENT ON TABLE candidate IS 'what somebody else made has the name that ours would have';

CREATE TABLE reading (
    target text NOT NULL,
    organisation text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('drift')),
    due_at timestamptz,
    asked_by text,
    lease_until timestamptz,
    epoch bigint NOT NULL DEFAULT 0,
    run uuid,
    read int NOT NULL DEFAULT 0,
    problem text,
    last_good timestamptz,
    since timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (target, organisation, kind)
);
COMMENT ON TABLE reading IS 'when a whole target is read next, and who reads it now: one at a time for a target';

CREATE TABLE finding (
    organisation text NOT NULL,
    target text NOT NULL,
    unit text NOT NULL,
    kind text NOT NULL,
    code text NOT NULL,
    count int NOT NULL DEFAULT 1,
    first_seen timestamptz NOT NULL DEFAULT now(),
    run uuid NOT NULL,
    PRIMARY KEY (organisation, target, unit, kind, code)
);
COMMENT ON TABLE finding IS 'what the last reading of a target found otherwise than it shall be';
""")
    op.execute("INSERT INTO leader (organisation, unit, person)"
        " SELECT organisation, unit, (l ->> 'person')::uuid FROM effective_unit, jsonb_array_elements(record -> 'leaders') l"
        " WHERE record IS NOT NULL AND l ->> 'unit' = unit ON CONFLICT DO NOTHING")  # fmt: skip
