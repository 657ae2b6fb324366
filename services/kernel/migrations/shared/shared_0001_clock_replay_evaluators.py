"""The shared schema: clock offset, replay requests, evaluators. Every service role may read and write it."""

from alembic import op

revision = "shared_0001"
down_revision = None
branch_labels = ("shared",)
depends_on = None


def upgrade() -> None:
    op.execute("""
CREATE TABLE clock (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    clock_offset interval NOT NULL DEFAULT '0',
    offsets_allowed boolean NOT NULL DEFAULT false
);
INSERT INTO clock DEFAULT VALUES;

CREATE TABLE replay_request (
    producer text NOT NULL,
    consumer text NOT NULL,
    requested_at timestamptz NOT NULL DEFAULT now(),
    done_at timestamptz,
    PRIMARY KEY (producer, consumer)
);
COMMENT ON TABLE replay_request IS 'consumer asks producer to publish its state once more; asking again re-opens the row';

CREATE TABLE evaluator (
    organisation text NOT NULL,
    service text NOT NULL,
    target text NOT NULL,
    since timestamptz NOT NULL,
    PRIMARY KEY (organisation, service, target)
);
COMMENT ON TABLE evaluator IS 'which service answers for which target, and for which cases (accepted since)';
""")
