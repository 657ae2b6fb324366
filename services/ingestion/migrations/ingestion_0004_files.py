"""Files of HR systems: the bytes, what they would do person by person, what was set aside, and how far it has come."""

from alembic import op

revision = "ingestion_0004"
down_revision = "ingestion_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables."""
    op.execute(
        """
        CREATE TABLE file_import (
            id uuid PRIMARY KEY,
            seq bigint GENERATED ALWAYS AS IDENTITY,
            organisation text NOT NULL,
            source text NOT NULL,
            kind text NOT NULL CHECK (kind IN ('delta', 'full')),
            name text NOT NULL,
            hash bytea NOT NULL,
            size bigint NOT NULL,
            made_at timestamptz NOT NULL,
            plan boolean NOT NULL,
            actor text NOT NULL,
            uploaded_at timestamptz NOT NULL DEFAULT now(),
            state text NOT NULL DEFAULT 'received'
                CHECK (state IN ('received', 'planned', 'applying', 'done', 'refused')),
            row_count int NOT NULL DEFAULT 0,
            person_count int NOT NULL DEFAULT 0,
            unread int NOT NULL DEFAULT 0,
            code text,
            reason text,
            finished_at timestamptz,
            traceparent text
        );
        COMMENT ON COLUMN file_import.unread IS 'rows of which nobody can tell whom they are about';
        CREATE INDEX file_import_source ON file_import (organisation, source, seq DESC);
        CREATE INDEX file_import_running ON file_import (organisation, source, seq)
            WHERE state IN ('received', 'applying');

        CREATE TABLE file_part (
            file uuid NOT NULL REFERENCES file_import ON DELETE CASCADE,
            part int NOT NULL,
            content bytea NOT NULL,
            PRIMARY KEY (file, part)
        );

        CREATE TABLE file_person (
            file uuid NOT NULL REFERENCES file_import ON DELETE CASCADE,
            place int NOT NULL,
            external_id text NOT NULL,
            person uuid,
            base text NOT NULL,
            state text NOT NULL
                CHECK (state IN ('planned', 'held', 'unchanged', 'rejected', 'applied', 'refused')),
            missing boolean NOT NULL DEFAULT false,
            announced boolean NOT NULL DEFAULT false,
            protected boolean NOT NULL DEFAULT false,
            kind text,
            reason text,
            fields text[] NOT NULL DEFAULT '{}',
            event_id text,
            hash bytea,
            body bytea,
            PRIMARY KEY (file, place)
        );
        COMMENT ON COLUMN file_person.base IS 'revision and newest fact of the person that the plan stands on';
        COMMENT ON COLUMN file_person.body IS 'the event to come, emptied when it is a fact';
        CREATE UNIQUE INDEX file_person_external ON file_person (file, external_id);
        CREATE INDEX file_person_state ON file_person (file, state, place);

        CREATE TABLE file_reject (
            file uuid NOT NULL REFERENCES file_import ON DELETE CASCADE,
            row_number int NOT NULL,
            column_name text NOT NULL,
            code text NOT NULL,
            value text NOT NULL,
            reason text NOT NULL,
            PRIMARY KEY (file, row_number, column_name, code)
        );

        CREATE TABLE file_record (
            organisation text NOT NULL,
            source text NOT NULL,
            external_id text NOT NULL,
            hash bytea NOT NULL,
            last_event text NOT NULL,
            PRIMARY KEY (organisation, source, external_id)
        );
        COMMENT ON TABLE file_record IS 'what a file last told of a person; good as long as last_event is the newest fact';
        """
    )
