"""What we wrote last, what other hands have changed, what people decided of it, and reading whole targets."""

from alembic import op

revision = "accounts_0005"
down_revision = "accounts_0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add columns with constant defaults, and tables; nothing that is there is rewritten."""
    op.execute("""
ALTER TABLE account ADD COLUMN IF NOT EXISTS written jsonb NOT NULL DEFAULT '{}';
ALTER TABLE account ADD COLUMN IF NOT EXISTS locked_at timestamptz;
ALTER TABLE account ADD COLUMN IF NOT EXISTS place text;
COMMENT ON COLUMN account.written IS 'digests of the attributes as we wrote them, or found them in line, last';
COMMENT ON COLUMN account.locked_at IS 'since when (business time) it is closed by another hand; it stays closed';
COMMENT ON COLUMN account.place IS 'below what it stood when it was first seen, or was accepted to stand';

CREATE TABLE decided (
    organisation text NOT NULL,
    person uuid NOT NULL,
    target text NOT NULL,
    attribute text NOT NULL,
    verdict text NOT NULL CHECK (verdict IN ('reclaim', 'accept', 'reopen')),
    digest text NOT NULL,
    actor text NOT NULL,
    reason text NOT NULL,
    decided_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organisation, person, target, attribute)
);
COMMENT ON TABLE decided IS 'what a person, or the target''s rule, decided of a difference; without attribute of the state';

CREATE TABLE rewrite (
    organisation text NOT NULL,
    person uuid NOT NULL,
    target text NOT NULL,
    attribute text NOT NULL,
    digest text NOT NULL,
    times int NOT NULL,
    since timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organisation, person, target, attribute)
);
COMMENT ON TABLE rewrite IS 'how often the same was written to an account in a day: more than a few times is a loop';

CREATE TABLE reading (
    target text NOT NULL,
    organisation text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('drift', 'takeover')),
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

CREATE TABLE drift_run (
    id uuid PRIMARY KEY,
    organisation text NOT NULL,
    target text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz NOT NULL DEFAULT now(),
    asked_by text,
    read int NOT NULL,
    skipped int NOT NULL,
    counts jsonb NOT NULL
);
CREATE INDEX drift_run_newest ON drift_run (organisation, target, ended_at DESC);

CREATE TABLE finding (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    organisation text NOT NULL,
    target text NOT NULL,
    kind text NOT NULL,
    about text NOT NULL,
    attribute text NOT NULL,
    person uuid,
    digest text NOT NULL,
    detail jsonb NOT NULL,
    first_seen timestamptz NOT NULL DEFAULT now(),
    last_seen timestamptz NOT NULL DEFAULT now(),
    run uuid NOT NULL,
    closed_at timestamptz,
    decision text,
    actor text,
    reason text,
    decided_at timestamptz
);
CREATE UNIQUE INDEX finding_open ON finding (organisation, target, kind, about, attribute) WHERE closed_at IS NULL;
CREATE INDEX finding_list ON finding (organisation, target, id) WHERE closed_at IS NULL;
CREATE INDEX finding_person ON finding (organisation, person);
COMMENT ON COLUMN finding.about IS 'immutable id of the account; of one that is missing the person''s';
COMMENT ON COLUMN finding.digest IS 'what differs; when it is something else, what was decided holds no more';
COMMENT ON COLUMN finding.detail IS 'values are a person''s: shown only to who may read the person';

CREATE TABLE takeover_plan (
    id uuid PRIMARY KEY,
    organisation text NOT NULL,
    target text NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now(),
    digest text NOT NULL,
    read int NOT NULL,
    people int NOT NULL
);
CREATE INDEX takeover_plan_newest ON takeover_plan (organisation, target, made_at DESC);
COMMENT ON COLUMN takeover_plan.people IS 'who shall have an account and has none that is ours';

CREATE TABLE takeover_row (
    plan uuid NOT NULL REFERENCES takeover_plan ON DELETE CASCADE,
    entry text NOT NULL,
    handle text NOT NULL,
    certainty text NOT NULL CHECK (certainty IN ('certain', 'ambiguous', 'none')),
    by text,
    candidates uuid[] NOT NULL,
    user_name text NOT NULL,
    mails text[] NOT NULL,
    enabled boolean NOT NULL,
    detail jsonb NOT NULL,
    refused text,
    PRIMARY KEY (plan, entry)
);
CREATE INDEX takeover_row_certainty ON takeover_row (plan, certainty, entry);
COMMENT ON COLUMN takeover_row.refused IS 'why it could not be adopted when that was approved';

CREATE TABLE adoption (
    organisation text NOT NULL,
    person uuid NOT NULL,
    target text NOT NULL,
    entry text NOT NULL,
    handle text NOT NULL,
    approved_by text NOT NULL,
    reason text NOT NULL,
    approved_at timestamptz NOT NULL DEFAULT now(),
    done_at timestamptz,
    PRIMARY KEY (organisation, person, target)
);
CREATE UNIQUE INDEX adoption_entry ON adoption (organisation, target, entry);
COMMENT ON TABLE adoption IS 'accounts made by others that a person gave to a person: the next pass marks them';
""")
