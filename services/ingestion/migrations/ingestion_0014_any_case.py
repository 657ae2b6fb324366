"""The index of ids in any case begins with the id: before statistics exist the planner took it for the key.

It shared two columns with the key, which without statistics looks as good: every lookup of an exact id then read all
ids of its source, and the first import of a new installation slowed down with each person.
"""

from alembic import op

revision = "ingestion_0014"
down_revision = "ingestion_0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Put the index in the place of the other; nobody waits for it."""
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS source_identity_any_case")
        op.execute(
            "CREATE INDEX CONCURRENTLY source_identity_any_case"
            " ON source_identity (lower(external_id), organisation, source)"
        )
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS source_identity_lower")
        op.execute("SET lock_timeout = '3s'")
