"""Recognising, at first sight, somebody whom we know under another id."""

from collections.abc import Mapping

from services.ingestion.domain.identity import Likeness
from services.kernel.database import recordset

# somebody whom another source, or this one under another id, has told of before: exactly one person who agrees

RECOGNISED = (
    "SELECT k.organisation, k.source, k.external_id, min(p.id::text)::uuid FROM json_to_recordset(%s::json) AS k"
    " (organisation text, source text, external_id text, number text, given text, family text, birth_date date)"
    " CROSS JOIN LATERAL (SELECT person FROM official_number WHERE organisation = k.organisation"
    " AND number = k.number OFFSET 0) h CROSS JOIN LATERAL (SELECT * FROM person WHERE organisation = k.organisation"
    " AND id = h.person OFFSET 0) p WHERE p.core ->> 'protection' = 'none'"
    " AND (lower(p.core #>> '{name,given}') = lower(nullif(k.given, ''))"
    " OR lower(p.core #>> '{name,family}') = lower(nullif(k.family, '')))"
    " AND coalesce(k.birth_date = (p.confidential ->> 'birthDate')::date, true)"
    " AND NOT EXISTS (SELECT FROM source_identity s WHERE s.organisation = k.organisation AND s.source = k.source"
    " AND s.external_id = k.external_id OFFSET 0) GROUP BY 1, 2, 3 HAVING count(DISTINCT p.id) = 1"
)
RECOGNISE = (
    f"INSERT INTO source_identity (organisation, source, external_id, person, recognised)"
    f" SELECT *, true FROM ({RECOGNISED}) r ON CONFLICT DO NOTHING"
)


def seen(likenesses: Mapping[tuple[str, str, str], Likeness]) -> tuple[str]:
    """Turn likenesses into the one parameter of a recordset, a row for each number."""
    rows: list[dict[str, object]] = []
    for key, like in sorted(likenesses.items(), key=lambda item: item[0]):
        assert like.name is not None  # noqa: S101 - `likeness` has looked
        told = {"given": like.name.given, "family": like.name.family, "birth_date": like.birth_date}
        named = dict(zip(("organisation", "source", "external_id"), key, strict=True))
        rows += [{**named, "number": number, **told} for number in sorted(like.numbers)]
    return (recordset(rows),)
