"""Units are folded anew, so that what held before is known of those that were told of until now.

The dates worker does it when it looks at a unit: within two hours, when nobody of the version before works any more.
"""

from alembic import op

revision = "ingestion_0015"
down_revision = "ingestion_0014"
branch_labels = None
depends_on = None


LOOK_AT_ALL = """
    WITH looked AS (
        UPDATE unit SET next_boundary = least(next_boundary, now() + (1 + random()) * interval '1 hour')
        RETURNING organisation, id, next_boundary
    )
    INSERT INTO work (organisation, kind, subject, target, done, due_at)
    SELECT organisation, 'unit', id, 'dates', 1, next_boundary FROM looked
    ON CONFLICT (organisation, kind, subject, target) DO UPDATE SET due_at = excluded.due_at
"""


def upgrade() -> None:
    """Let the dates worker look at every unit; the version before finds nothing to say."""
    op.execute(LOOK_AT_ALL)
