"""What operators decide about access, and what waits for a second person."""

from alembic import op

revision = "ingestion_0003"
down_revision = "ingestion_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table; what is in effect is a fact, and has one."""
    op.execute(
        """
        CREATE TABLE access_decision (
            id uuid PRIMARY KEY,
            organisation text NOT NULL,
            person uuid NOT NULL,
            action text NOT NULL,
            until date,
            state text NOT NULL,
            actor text NOT NULL,
            reason text NOT NULL,
            proposed_at timestamptz NOT NULL DEFAULT now(),
            decided_by text,
            decided_reason text,
            decided_at timestamptz,
            revision int,
            case_id uuid,
            CHECK ((state = 'proposed') = (decided_at IS NULL))
        );
        CREATE INDEX access_decision_person ON access_decision (organisation, person, proposed_at DESC);
        CREATE INDEX access_decision_proposed ON access_decision (organisation, proposed_at) WHERE state = 'proposed';
        """
    )
