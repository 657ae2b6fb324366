"""The ledger: identities, facts as they came, persons and units as folded, and every version that was told."""

from alembic import op

revision = "ingestion_0001"
down_revision = None
branch_labels = ("ingestion",)
depends_on = "kernel_0001"


def upgrade() -> None:
    op.execute("""
CREATE TABLE source_identity (
    organisation text NOT NULL,
    source text NOT NULL,
    external_id text NOT NULL,
    person uuid NOT NULL,
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organisation, source, external_id)
);
CREATE INDEX source_identity_person ON source_identity (organisation, person);

CREATE TABLE person (
    organisation text NOT NULL,
    id uuid NOT NULL,
    generation int NOT NULL DEFAULT 1,
    revision int NOT NULL DEFAULT 0,
    state jsonb NOT NULL DEFAULT '{}',
    core jsonb,
    confidential jsonb,
    mentions jsonb NOT NULL DEFAULT '[]',
    cases jsonb NOT NULL DEFAULT '[]',
    announced_until timestamptz,
    next_boundary timestamptz,
    PRIMARY KEY (organisation, id)
) WITH (fillfactor = 70, toast_tuple_target = 8160);
COMMENT ON TABLE person IS 'rows of 3-4 kB stay in line: to compress them took a quarter of the database''s time';
COMMENT ON COLUMN person.mentions IS '[source, external id, person] of managers and sponsors that the state mentions';
COMMENT ON COLUMN person.announced_until IS 'business time up to which every boundary has been told';

CREATE TABLE fact (
    id uuid NOT NULL,
    seq bigint GENERATED ALWAYS AS IDENTITY,
    organisation text NOT NULL,
    source text NOT NULL,
    event_id text NOT NULL,
    kind text NOT NULL,
    asserted_at timestamptz NOT NULL,
    sequence bigint NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    actor text NOT NULL,
    person uuid,
    unit text,
    revision int,
    case_id uuid,
    body jsonb NOT NULL,
    body_hash bytea NOT NULL,
    traceparent text,
    PRIMARY KEY (organisation, source, event_id),
    CHECK ((person IS NULL) <> (unit IS NULL))
);
CREATE UNIQUE INDEX fact_id ON fact (id);
CREATE INDEX fact_person ON fact (organisation, person, seq) WHERE person IS NOT NULL;
CREATE INDEX fact_unit ON fact (organisation, unit, seq) WHERE unit IS NOT NULL;
COMMENT ON COLUMN fact.revision IS 'the revision that the fact led to; null when it changed nothing';

CREATE TABLE person_version (
    organisation text NOT NULL,
    person uuid NOT NULL,
    revision int NOT NULL,
    generation int NOT NULL,
    seq bigint GENERATED ALWAYS AS IDENTITY,
    recorded_at timestamptz NOT NULL,
    effective_at timestamptz NOT NULL,
    accepted_at timestamptz NOT NULL,
    case_id uuid NOT NULL,
    kind text NOT NULL,
    reason text NOT NULL,
    lane text NOT NULL,
    baseline boolean NOT NULL,
    event_id uuid NOT NULL,
    confidential_event_id uuid NOT NULL,
    traceparent text,
    core jsonb NOT NULL,
    confidential jsonb NOT NULL,
    PRIMARY KEY (organisation, person, revision)
);
CREATE INDEX person_version_seq ON person_version (seq);

CREATE TABLE tree (
    organisation text PRIMARY KEY,
    revision int NOT NULL DEFAULT 0
);

CREATE TABLE unit (
    organisation text NOT NULL,
    id text NOT NULL,
    revision int NOT NULL DEFAULT 0,
    state jsonb NOT NULL DEFAULT '{}',
    record jsonb,
    PRIMARY KEY (organisation, id)
);

CREATE TABLE unit_version (
    organisation text NOT NULL,
    unit text NOT NULL,
    revision int NOT NULL,
    generation int NOT NULL,
    seq bigint GENERATED ALWAYS AS IDENTITY,
    tree_revision int NOT NULL,
    recorded_at timestamptz NOT NULL,
    event_id uuid NOT NULL,
    traceparent text,
    record jsonb NOT NULL,
    PRIMARY KEY (organisation, unit, revision)
);
CREATE INDEX unit_version_seq ON unit_version (seq);
""")
