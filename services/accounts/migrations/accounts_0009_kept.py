"""Whose an account is by its id, and indexes by which what is old is found."""

from alembic import op

revision = "accounts_0009"
down_revision = "accounts_0007"
branch_labels = None
depends_on = None

_INDEXES = {
    "account_entry": "account (organisation, target, entry) WHERE state <> 'absent'",
    "finding_closed": "finding (organisation, closed_at) WHERE closed_at IS NOT NULL",
    "drift_run_ended": "drift_run (organisation, ended_at)",
    "takeover_plan_made": "takeover_plan (organisation, made_at)",
}


def upgrade() -> None:
    """Add indexes, while others write; safe to begin again."""
    with op.get_context().autocommit_block():
        # it waits for whoever writes and holds nobody up; what an earlier try left is not valid
        op.execute("SET lock_timeout = 0")
        for name, over in _INDEXES.items():
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            op.execute(f"CREATE INDEX CONCURRENTLY {name} ON {over}")
        op.execute("SET lock_timeout = '3s'")
