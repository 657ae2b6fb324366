"""The kernel's tables in a service's own schema: outbox, inbox, inputs, work, breaker, effects, guard, policy."""

from alembic import op

revision = "kernel_0001"
down_revision = None
branch_labels = ("kernel",)
depends_on = None


def upgrade() -> None:
    op.execute("""
CREATE TABLE outbox (
    seq bigint GENERATED ALWAYS AS IDENTITY,
    created_at timestamptz NOT NULL DEFAULT now(),
    lane smallint NOT NULL,
    message_id uuid NOT NULL,
    type text NOT NULL,
    routing_key text NOT NULL,
    organisation text NOT NULL,
    subject text NOT NULL,
    traceparent text,
    confidential boolean NOT NULL DEFAULT false,
    body text NOT NULL,
    attempts smallint NOT NULL DEFAULT 0,
    retry_at timestamptz,
    published_at timestamptz,
    PRIMARY KEY (seq, created_at)
) PARTITION BY RANGE (created_at);
CREATE TABLE outbox_rest PARTITION OF outbox DEFAULT;
CREATE INDEX outbox_unpublished ON outbox (lane, seq) WHERE published_at IS NULL;
DO $$
DECLARE first date := date_trunc('month', now())::date;
BEGIN
  EXECUTE format('CREATE TABLE %I PARTITION OF outbox FOR VALUES FROM (%L) TO (%L)',
    'outbox_' || to_char(first, 'YYYY_MM'), first, first + interval '1 month');
END $$;

CREATE TABLE lease (
    name text PRIMARY KEY,
    holder uuid NOT NULL,
    expires_at timestamptz NOT NULL
);

CREATE TABLE queue (
    name text PRIMARY KEY,
    declared_at timestamptz NOT NULL DEFAULT now(),
    ready boolean NOT NULL DEFAULT false,
    times_created int NOT NULL DEFAULT 0
);
COMMENT ON COLUMN queue.ready IS 'false from just before the queue is declared until its replay has been asked for';

CREATE TABLE inbox (
    message_id uuid PRIMARY KEY,
    type text NOT NULL,
    body_hash bytea NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX inbox_received ON inbox (received_at);

CREATE TABLE inbox_dead (
    id uuid PRIMARY KEY,
    organisation text,
    queue text NOT NULL,
    message_id text,
    type text,
    routing_key text,
    cause text NOT NULL,
    headers bytea NOT NULL,
    body bytea NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL DEFAULT now() + interval '90 days',
    redelivered_at timestamptz
);
CREATE INDEX inbox_dead_open ON inbox_dead (received_at) WHERE redelivered_at IS NULL;

CREATE TABLE input (
    kind text NOT NULL,
    organisation text NOT NULL,
    subject text NOT NULL,
    generation int NOT NULL,
    version bigint NOT NULL,
    body text NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (kind, organisation, subject)
);

CREATE TABLE work (
    organisation text NOT NULL,
    kind text NOT NULL,
    subject text NOT NULL,
    target text NOT NULL,
    lane smallint NOT NULL DEFAULT 1,
    removal boolean NOT NULL DEFAULT false,
    wanted bigint NOT NULL DEFAULT 1,
    done bigint NOT NULL DEFAULT 0,
    raised_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    due_at timestamptz,
    removes_next boolean NOT NULL DEFAULT false,
    retry_at timestamptz,
    generation int NOT NULL DEFAULT 1,
    lease_epoch bigint NOT NULL DEFAULT 0,
    lease_until timestamptz,
    unsure boolean NOT NULL DEFAULT false,
    attempts int NOT NULL DEFAULT 0,
    state text NOT NULL DEFAULT 'idle' CHECK (state IN ('idle', 'retrying', 'waiting', 'parked', 'held')),
    problem jsonb,
    problem_since timestamptz,
    traceparent text,
    PRIMARY KEY (organisation, kind, subject, target)
) WITH (fillfactor = 80);
CREATE INDEX work_wanted ON work (target, lane, removal, raised_at) WHERE wanted > done;
CREATE INDEX work_due ON work (target, removes_next, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX work_retry ON work (target, lane, retry_at) WHERE retry_at IS NOT NULL;
CREATE INDEX work_troubled ON work (target, state) WHERE state <> 'idle';

CREATE TABLE breaker (
    target text PRIMARY KEY,
    opened_at timestamptz,
    reason text,
    resume_at timestamptz,
    probe_until timestamptz,
    failures int NOT NULL DEFAULT 0
);
COMMENT ON COLUMN work.unsure IS 'a call of the last pass may still be on its way: the next pass swaps the mark first';
COMMENT ON TABLE breaker IS 'opened_at not null: nothing is claimed for the target until a probe has answered';

CREATE TABLE effect (
    organisation text NOT NULL,
    kind text NOT NULL,
    key text NOT NULL,
    state text NOT NULL CHECK (state IN ('planned', 'started', 'done', 'taken_over')),
    external_id text,
    planned_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    done_at timestamptz,
    PRIMARY KEY (organisation, kind, key)
);
COMMENT ON COLUMN effect.key IS 'the business thing: employment and hash of its particulars; never an event or a revision';

CREATE TABLE guard_removal (
    organisation text NOT NULL,
    target text NOT NULL,
    subject text NOT NULL,
    action text NOT NULL,
    source text NOT NULL,
    budget text NOT NULL,
    revision bigint NOT NULL,
    admitted_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organisation, target, subject, action)
);
CREATE INDEX guard_removal_window ON guard_removal (organisation, target, budget, admitted_at);

CREATE TABLE guard_hold (
    id uuid PRIMARY KEY,
    organisation text NOT NULL,
    target text NOT NULL,
    subject text NOT NULL,
    action text NOT NULL,
    source text NOT NULL,
    revision bigint NOT NULL,
    state text NOT NULL DEFAULT 'held' CHECK (state IN ('held', 'released', 'refused', 'lapsed')),
    held_at timestamptz NOT NULL DEFAULT now(),
    decided_at timestamptz,
    actor text,
    reason text
);
CREATE UNIQUE INDEX guard_hold_open ON guard_hold (organisation, target, subject, action) WHERE state <> 'lapsed';

CREATE TABLE policy_content (
    hash text PRIMARY KEY,
    decision text NOT NULL,
    content text NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE policy_active (
    organisation text NOT NULL,
    decision text NOT NULL,
    hash text NOT NULL REFERENCES policy_content (hash),
    activated_at timestamptz NOT NULL DEFAULT now(),
    actor text NOT NULL,
    reason text NOT NULL,
    PRIMARY KEY (organisation, decision)
);
""")
