"""Evaluations name their record's generation, what waits may have a time, and lists in the audit name whom they showed."""

from alembic import op

revision = "status_0002"
down_revision = "status_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; who waits already comes up at the next message, or at once by `stafett replay --to status`."""
    op.execute(
        """
        ALTER TABLE evaluation ADD COLUMN record_generation integer NOT NULL DEFAULT 1;
        ALTER TABLE evaluated ADD COLUMN record_generation integer NOT NULL DEFAULT 1;
        ALTER TABLE attention ADD COLUMN due timestamptz;
        ALTER TABLE audit ADD COLUMN persons uuid[] NOT NULL DEFAULT '{}';
        CREATE INDEX audit_persons ON audit USING gin (persons);
        UPDATE evaluation SET record_generation = generation WHERE generation <> 1;
        UPDATE evaluated SET record_generation = generation WHERE generation <> 1;
        UPDATE evaluation SET trouble = 'waiting' WHERE trouble IS NULL AND steps @> '[{"state": "waiting"}]';
        UPDATE evaluated d SET trouble = 'waiting' FROM evaluation e WHERE d.trouble IS NULL AND e.trouble = 'waiting'
            AND (d.organisation, d.person, d.service, d.target) = (e.organisation, e.person, e.service, e.target)
            AND (d.generation, d.version) = (e.generation, e.version);
        UPDATE audit SET persons = string_to_array(parameters ->> 'persons', ',')::uuid[]
            WHERE parameters ->> 'persons' <> '';
        """
    )
