"""The purge's log and its stop, and indexes by which what is old is found."""

from alembic import op

revision = "kernel_0007"
down_revision = "kernel_0006"
branch_labels = None
depends_on = None

INDEXES = {
    "inbox_dead_received": "inbox_dead (received_at)",
    "guard_removal_admitted": "guard_removal (admitted_at)",
    "guard_hold_lapsed": "guard_hold (decided_at) WHERE state = 'lapsed'",
}


def upgrade() -> None:
    """Make the tables, and the indexes while others write; safe to begin again."""
    op.execute(
        """
        CREATE TABLE IF NOT EXISTS purge_log (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            data_class text NOT NULL,
            organisation text NOT NULL,
            days int NOT NULL,
            began_at timestamptz NOT NULL DEFAULT now(),
            finished_at timestamptz,
            rows bigint NOT NULL DEFAULT 0,
            after text NOT NULL DEFAULT '',
            oldest timestamptz
        );
        COMMENT ON TABLE purge_log IS 'a run of a data class; organisation '''' is the installation';
        COMMENT ON COLUMN purge_log.after IS 'where a run that was cut off goes on';
        COMMENT ON COLUMN purge_log.oldest IS 'when the oldest of what was kept came; null: nothing is left';
        CREATE INDEX IF NOT EXISTS purge_log_newest ON purge_log (data_class, organisation, began_at DESC);
        CREATE INDEX IF NOT EXISTS purge_log_began ON purge_log (began_at);
        CREATE TABLE IF NOT EXISTS purge_pause (
            only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
            paused_at timestamptz NOT NULL DEFAULT now(),
            paused_by text NOT NULL,
            reason text NOT NULL,
            organisation text NOT NULL
        );
        COMMENT ON TABLE purge_pause IS 'a row: a person has stopped the purge; organisation is that person''s';
        """
    )
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        for name, definition in INDEXES.items():
            # what an earlier try left is not valid
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            op.execute(f"CREATE INDEX CONCURRENTLY {name} ON {definition}")
        op.execute("SET lock_timeout = '3s'")
