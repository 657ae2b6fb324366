"""What SCIM clients call persons and units: names that HR's facts do not hold."""

from alembic import op

revision = "ingestion_0005"
down_revision = "ingestion_0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
CREATE TABLE scim_name (
    organisation text NOT NULL,
    source text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('User', 'Group')),
    subject text NOT NULL,
    user_name text,
    external_id text,
    version int NOT NULL DEFAULT 1,
    changed_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    PRIMARY KEY (organisation, source, kind, subject)
);
CREATE UNIQUE INDEX scim_name_user ON scim_name (organisation, source, lower(user_name))
    WHERE kind = 'User' AND deleted_at IS NULL;
CREATE INDEX scim_name_external ON scim_name (organisation, source, kind, external_id) WHERE external_id IS NOT NULL;
CREATE INDEX source_identity_lower ON source_identity (organisation, source, lower(external_id));
COMMENT ON COLUMN scim_name.subject IS 'the source''s own id, as its facts have it; it never changes';
COMMENT ON COLUMN scim_name.deleted_at IS 'SCIM clients see it no more; its facts stay';
""")
