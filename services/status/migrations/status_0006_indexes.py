"""Indexes for what is rare among very much: who did what, cancelled cases, protected people, what is not settled."""

from alembic import op

revision = "status_0006"
down_revision = "status_0005"
branch_labels = None
depends_on = None

INDEXES = {
    "audit_actor": "audit (organisation, actor, recorded_at DESC, id DESC)",
    "audit_action": "audit (organisation, action, recorded_at DESC, id DESC)",
    "case_cancelled": '"case" (organisation, accepted_at, case_id) WHERE cancelled AND closed_at IS NOT NULL',
    "case_open_listed": (
        '"case" (organisation, accepted_at, case_id) INCLUDE (kind, reason, protected, cancelled, stuck,'
        " retrying_since, effective_at, baseline) WHERE closed_at IS NULL"
    ),
    "evaluation_blocked": "evaluation (organisation) INCLUDE (person, service, target) WHERE blocked",
    "evaluation_blocked_from": (
        "evaluation (organisation, blocked_from) INCLUDE (person, service, target) WHERE blocked_from IS NOT NULL"
    ),
    "person_protected": "person (organisation, person) WHERE protection <> 'none'",
}


def upgrade() -> None:
    """Add them while the service reads and writes.

    A try that was broken off leaves an invalid index, so each is dropped first; and to wait for a long transaction is
    no reason to break off, for it holds nobody up meanwhile.
    """
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        for name, definition in INDEXES.items():
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            op.execute(f"CREATE INDEX CONCURRENTLY {name} ON {definition}")
        # case_open_listed does what it did
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS case_open")
        op.execute("SET lock_timeout = '3s'")
