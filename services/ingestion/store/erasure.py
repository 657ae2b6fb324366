"""Emptying what is kept of a person, and knowing an erased id again by its keyed hash. The person is locked."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.ingestion.domain.access import SOURCE
from services.ingestion.domain.erasure import EMPTY
from services.ingestion.store.files import TALLY
from services.kernel.database import Connection, recordset
from services.kernel.erasure import ErasureKey

Identity = tuple[str, str, str]
Ids = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Tombstone:
    """An erased id: its hash, and the business time up to which nothing that was asserted of it counts."""

    digest: bytes
    erased_at: datetime


@dataclass(frozen=True)
class Held:
    """How much of a person there is to empty, and what else stands against it. `told`: the newest revision's time."""

    facts: int
    versions: int
    ids: int
    numbers: int
    scim_names: int
    decisions: int
    files: int
    told: datetime
    open_case: bool
    in_file: bool
    untold: bool


_FILES = (
    "SELECT i.id, i.state, p.place, p.state AS person_state FROM file_import i"
    " JOIN json_to_recordset(%(ids)s::json) AS k (source text, external_id text) ON k.source = i.source"
    # OFFSET 0 is a fence: file_person_external finds the one row of each file
    " CROSS JOIN LATERAL (SELECT * FROM file_person WHERE file = i.id AND external_id = k.external_id OFFSET 0) p"
    " WHERE i.organisation = %(organisation)s"
)
_NAMES = (
    "h.organisation = %(organisation)s AND h.kind = 'User' AND (h.source, h.subject) IN (SELECT k.source, k.external_id"
    " FROM json_to_recordset(%(ids)s::json) AS k (source text, external_id text))"
)
_THEIRS = "organisation = %(organisation)s AND person = %(person)s"


def _values(organisation: str, person: UUID, ids: Ids, **more: object) -> dict[str, object]:
    pairs = recordset({"source": source, "external_id": external} for source, external in ids)
    return {"organisation": organisation, "person": person, "ids": pairs, **more}


async def held(conn: Connection, organisation: str, person: UUID, ids: Ids) -> Held:
    """Return how much there is of a person, who has a version; in one look."""
    cursor = await conn.execute(
        f"SELECT (SELECT count(*) FROM fact WHERE {_THEIRS}), (SELECT count(*) FROM person_version WHERE {_THEIRS}),"
        " (SELECT count(*) FROM json_array_elements(%(ids)s::json)),"
        f" (SELECT count(*) FROM official_number WHERE {_THEIRS}),"
        f" (SELECT count(*) FROM scim_name h WHERE {_NAMES}), (SELECT count(*) FROM access_decision WHERE {_THEIRS}),"
        f" (SELECT count(DISTINCT f.id) FROM ({_FILES}) f),"
        f" (SELECT recorded_at FROM person_version WHERE {_THEIRS} ORDER BY revision DESC LIMIT 1),"
        " EXISTS (SELECT FROM identity_case WHERE organisation = %(organisation)s AND state = 'open'"
        "  AND %(person)s IN (person, other)),"
        f" EXISTS (SELECT FROM ({_FILES}) f WHERE f.state NOT IN ('done', 'refused') OR f.person_state = 'held')"
        # nobody can tell yet whom a file names that has not been read
        "  OR EXISTS (SELECT FROM file_import i JOIN json_to_recordset(%(ids)s::json) AS k (source text)"
        "  ON k.source = i.source WHERE i.organisation = %(organisation)s AND i.state = 'received'),"
        " EXISTS (SELECT FROM outbox WHERE published_at IS NULL AND organisation = %(organisation)s"
        "  AND subject = %(person)s::text AND type LIKE 'se.stafett.person.%%')",
        _values(organisation, person, ids),
    )
    (row,) = await cursor.fetchall()
    return Held(*row)


async def empty(conn: Connection, organisation: str, person: UUID, ids: Ids) -> None:
    """Empty all that is kept of a person but the row itself, which is written with the last revision.

    Of versions times, kinds, reasons and cases stay: figures are made of them. Of a file that holds the person the
    bytes go, and the rows that were set aside when some were the person's; what it came to for others stays.
    """
    values = _values(organisation, person, ids, core=EMPTY.core_json, confidential=EMPTY.confidential_json)
    for statement in (
        f"DELETE FROM fact WHERE {_THEIRS}",
        f"UPDATE person_version SET core = %(core)s::jsonb, confidential = %(confidential)s::jsonb WHERE {_THEIRS}",
        f"DELETE FROM official_number WHERE {_THEIRS}",
        f"DELETE FROM access_decision WHERE {_THEIRS}",
        # who was held under an id that came back, and proved to be this person, was never told of
        "UPDATE person SET state = '{}', mentions = '[]' WHERE organisation = %(organisation)s AND core IS NULL"
        " AND ties ->> 'aliasOf' = %(person)s::text AND id IN (SELECT unnest(ARRAY[c.person, c.other])"
        " FROM identity_case c WHERE c.organisation = %(organisation)s AND c.state = 'merged')",
        "UPDATE identity_case SET source = NULL, external_id = NULL WHERE organisation = %(organisation)s"
        " AND %(person)s IN (person, other)",
        f"DELETE FROM scim_name h WHERE {_NAMES}",
        f"UPDATE file_import i SET counts = {TALLY} WHERE counts IS NULL AND id IN (SELECT f.id FROM ({_FILES}) f)",
        f"DELETE FROM file_part b USING ({_FILES}) f WHERE b.file = f.id",
        f"DELETE FROM file_reject r USING ({_FILES}) f WHERE r.file = f.id AND f.person_state = 'rejected'",
        "DELETE FROM file_record h USING json_to_recordset(%(ids)s::json) AS k (source text, external_id text)"
        " WHERE h.organisation = %(organisation)s AND h.source = k.source AND h.external_id = k.external_id",
        # last: by the id the others have found the files
        "UPDATE file_person p SET external_id = %(person)s::text || '/' || p.place, base = '', unit = NULL,"
        f" event_id = NULL, hash = NULL, body = NULL FROM ({_FILES}) f WHERE p.file = f.id AND p.place = f.place",
        f"DELETE FROM source_identity WHERE {_THEIRS}",
    ):
        await conn.execute(statement.encode(), values)


async def bury(conn: Connection, organisation: str, person: UUID, ids: Ids, at: datetime, key: ErasureKey) -> None:
    """Leave keyed hashes of a person's ids."""
    await conn.execute(
        "INSERT INTO erased_identity (organisation, source, digest, key, person, erased_at)"
        " SELECT %s, k.source, decode(k.digest, 'hex'), %b, %s, %s FROM json_to_recordset(%s::json)"
        " AS k (source text, digest text) ON CONFLICT (organisation, source, digest)"
        " DO UPDATE SET person = excluded.person, erased_at = excluded.erased_at",
        (
            organisation,
            key.fingerprint,
            person,
            at,
            recordset(
                {"source": source, "digest": _digest(key, (organisation, source, external)).hex()}
                for source, external in ids
                if source != SOURCE
            ),
        ),
    )


async def tombstones(conn: Connection, asked: Iterable[Identity], key: ErasureKey) -> dict[Identity, Tombstone]:
    """Return those among ids whose person is erased; by primary key."""
    digests = {(one[0], one[1], _digest(key, one)): one for one in sorted(asked)}
    cursor = await conn.execute(
        "SELECT e.organisation, e.source, e.digest, e.erased_at FROM unnest(%b::text[], %b::text[], %b::bytea[])"
        " AS k (organisation, source, digest) JOIN erased_identity e USING (organisation, source, digest)",
        ([one[0] for one in digests], [one[1] for one in digests], [one[2] for one in digests]),
    )
    return {digests[row[0], row[1], row[2]]: Tombstone(row[2], row[3]) for row in await cursor.fetchall()}


async def came_back(conn: Connection, ids: Mapping[Identity, Tombstone]) -> None:
    """Let erased ids mean those who have come under them, to whom nothing of before belongs."""
    for (organisation, source, external), known in sorted(ids.items()):
        await conn.execute(
            "UPDATE source_identity SET since = %s WHERE organisation = %s AND source = %s AND external_id = %s",
            (known.erased_at, organisation, source, external),
        )
        await conn.execute(
            "DELETE FROM erased_identity WHERE organisation = %s AND source = %s AND digest = %b",
            (organisation, source, known.digest),
        )


async def unknown_again(conn: Connection, ids: Mapping[Identity, UUID]) -> None:
    """Take back what this transaction allocated for erased ids of which nothing was taken in."""
    for (organisation, source, external), person in sorted(ids.items()):
        await conn.execute(
            "DELETE FROM source_identity WHERE organisation = %s AND source = %s AND external_id = %s"
            " AND first_seen_at = now()",
            (organisation, source, external),
        )
        await conn.execute(
            "DELETE FROM person WHERE organisation = %s AND id = %s AND revision = 0 AND core IS NULL AND ties IS NULL",
            (organisation, person),
        )


async def other_key(conn: Connection, key: ErasureKey | None) -> bool:
    """Tell whether ids were erased with another key than this one: their people could come back."""
    cursor = await conn.execute(
        "SELECT EXISTS (SELECT FROM erased_identity WHERE key <> %b)", (key.fingerprint if key else b"",)
    )
    row = await cursor.fetchone()
    return row is not None and bool(row[0])


def _digest(key: ErasureKey, one: Identity) -> bytes:
    return key.digest("id", *one)
