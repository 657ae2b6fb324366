"""What a case took before Stafett, as it was measured: effects are told against it."""

from alembic import op

revision = "status_0010"
down_revision = "status_0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
CREATE TABLE baseline (
    organisation text NOT NULL,
    kind text NOT NULL,
    told_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    minutes numeric(8, 1) NOT NULL CHECK (minutes >= 0),
    lead_hours numeric(8, 1) CHECK (lead_hours >= 0),
    measured_on date NOT NULL,
    cases int NOT NULL CHECK (cases > 0),
    note text,
    actor text NOT NULL,
    PRIMARY KEY (organisation, kind, told_at)
);
COMMENT ON TABLE baseline IS 'nothing is changed in it: the newest word for a kind of case holds';
""")
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        # a try that was broken off leaves an invalid index
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS case_lead")
        op.execute(
            'CREATE INDEX CONCURRENTLY case_lead ON "case" (organisation, accepted_at)'
            " INCLUDE (kind, protected, person, done_at)"
            " WHERE done_at IS NOT NULL AND NOT cancelled AND NOT baseline"
        )
        op.execute("SET lock_timeout = '3s'")
