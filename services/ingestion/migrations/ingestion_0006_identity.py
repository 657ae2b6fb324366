"""Whose record it is: official numbers and who holds them, cases for a person to decide, ids that mean somebody else."""

from alembic import op

revision = "ingestion_0006"
down_revision = "ingestion_0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
ALTER TABLE person ADD COLUMN ties jsonb;
COMMENT ON COLUMN person.ties IS 'what binds the id to others: an alias, or held until a person says who it is';
ALTER TABLE source_identity ADD COLUMN origin uuid;
ALTER TABLE source_identity ADD COLUMN recognised boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN source_identity.origin IS 'the person that it meant before a merge; a split gives it back';
COMMENT ON COLUMN source_identity.recognised IS 'linked at first sight, by an official number and the name';

CREATE TABLE official_number (
    organisation text NOT NULL,
    number text NOT NULL,
    person uuid NOT NULL,
    PRIMARY KEY (organisation, number)
);
CREATE INDEX official_number_person ON official_number (organisation, person);
COMMENT ON TABLE official_number IS 'who was the first to have a number; whoever comes with it later is a case';

CREATE TABLE identity_case (
    id uuid PRIMARY KEY,
    organisation text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('shared_number', 'id_returned', 'asked')),
    person uuid NOT NULL,
    other uuid NOT NULL,
    source text,
    external_id text,
    opened_at timestamptz NOT NULL DEFAULT now(),
    state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'merged', 'separate', 'split')),
    actor text,
    reason text,
    decided_at timestamptz
);
CREATE UNIQUE INDEX identity_case_pair ON identity_case (organisation, least(person, other), greatest(person, other))
    WHERE kind = 'shared_number' AND state IN ('open', 'separate');
CREATE INDEX identity_case_listed ON identity_case (organisation, opened_at, id);
CREATE INDEX identity_case_open ON identity_case (organisation, opened_at, id) WHERE state = 'open';
COMMENT ON COLUMN identity_case.other IS 'who came later: with a number that somebody has, or under an id that was another''s';

INSERT INTO official_number (organisation, number, person)
    SELECT DISTINCT ON (1, 2) p.organisation, regexp_replace(i ->> 'value', '[^0-9]', '', 'g'), p.id
    FROM person p CROSS JOIN jsonb_array_elements(coalesce(p.state -> 'identifiers', '[]')) i
    WHERE i ->> 'kind' IN ('personnummer', 'samordningsnummer')
    AND length(regexp_replace(i ->> 'value', '[^0-9]', '', 'g')) = 12 ORDER BY 1, 2, 3
    ON CONFLICT DO NOTHING;
""")
