"""Evaluations name their record's generation, what waits may have a time, and lists in the audit name whom they showed."""

from alembic import op
from sqlalchemy import text

revision = "status_0002"
down_revision = "status_0001"
branch_labels = None
depends_on = None

PAGES = 100
"""How much of a table is filled at a time: whoever writes to it waits for that at most."""


def upgrade() -> None:
    """Add the columns, fill them and build the index, while others read and write; safe to begin again.

    Who waits already comes up at the next message, or at once by `stafett replay --to status`.
    """
    op.execute(
        """
        ALTER TABLE evaluation ADD COLUMN IF NOT EXISTS record_generation integer NOT NULL DEFAULT 1;
        ALTER TABLE evaluated ADD COLUMN IF NOT EXISTS record_generation integer NOT NULL DEFAULT 1;
        ALTER TABLE attention ADD COLUMN IF NOT EXISTS due timestamptz;
        ALTER TABLE audit ADD COLUMN IF NOT EXISTS persons uuid[] NOT NULL DEFAULT '{}';
        """
    )
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        _fill("evaluation", "SET record_generation = generation WHERE record_generation = 1 AND generation <> 1")
        _fill("evaluated", "SET record_generation = generation WHERE record_generation = 1 AND generation <> 1")
        _fill("evaluation", """SET trouble = 'waiting' WHERE trouble IS NULL AND steps @> '[{"state": "waiting"}]'""")
        _fill(
            "evaluated",
            "SET trouble = 'waiting' FROM evaluation e WHERE t.trouble IS NULL AND e.trouble = 'waiting'"
            " AND (t.organisation, t.person, t.service, t.target) = (e.organisation, e.person, e.service, e.target)"
            " AND (t.generation, t.version) = (e.generation, e.version)",
        )
        _fill(
            "audit",
            "SET persons = string_to_array(parameters ->> 'persons', ',')::uuid[] WHERE parameters ->> 'persons' <> ''",
        )
        # what an earlier try left is not valid
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS audit_persons")
        op.execute("CREATE INDEX CONCURRENTLY audit_persons ON audit USING gin (persons)")
        op.execute("SET lock_timeout = '3s'")


def _fill(table: str, change: str) -> None:
    """Change the rows that were there, so many pages at a time; rows that came since are written with all columns."""
    size = text(f"SELECT pg_relation_size('{table}') / current_setting('block_size')::integer")
    for first in range(0, int(op.get_bind().execute(size).scalar_one()), PAGES):
        op.execute(f"UPDATE {table} t {change} AND t.ctid >= '({first},0)' AND t.ctid < '({first + PAGES},0)'")
