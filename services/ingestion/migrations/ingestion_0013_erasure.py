"""Erased people: by what their ids are known again, and since when an id that came back means somebody new."""

from alembic import op

revision = "ingestion_0013"
down_revision = "ingestion_0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a table and a column; the version before does without them."""
    op.execute(
        """
        CREATE TABLE erased_identity (
            organisation text NOT NULL,
            source text NOT NULL,
            digest bytea NOT NULL,
            key bytea NOT NULL,
            person uuid NOT NULL,
            erased_at timestamptz NOT NULL,
            PRIMARY KEY (organisation, source, digest)
        );
        COMMENT ON TABLE erased_identity IS 'ids of erased people, as keyed hashes, until the id means somebody new';
        COMMENT ON COLUMN erased_identity.key IS 'fingerprint of the key';
        COMMENT ON COLUMN erased_identity.erased_at IS 'business time: what was asserted by then changes nothing';
        ALTER TABLE source_identity ADD COLUMN since timestamptz;
        COMMENT ON COLUMN source_identity.since IS 'what was asserted by then was of somebody who is erased';
        """
    )
