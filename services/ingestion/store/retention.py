"""What ingestion keeps, and how it forgets: facts and superseded versions of who has left; what files held.

A person has left when every employment, and whatever outlasts it, ended so many days ago, no operator keeps access
open, no date is ahead, no case asks who it is, and nothing was recorded since. People are locked, a page at a time.
"""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from services.ingestion.store import files
from services.kernel.clock import BUSINESS_NOW
from services.kernel.database import Connection
from services.kernel.retention.classes import AT_ONCE, DataClass, Oldest, Portion, oldest_of
from services.kernel.settings import OrganisationSettings

PAGE = 200
"""People who are looked at in a transaction."""

_PAGE = "SELECT id FROM person WHERE organisation = %(organisation)s AND id > %(after)s ORDER BY id LIMIT %(page)s"
_ENDED = """
p.core IS NOT NULL AND p.next_boundary IS NULL
AND coalesce((p.core #>> '{access,keptUntil}')::date, '-infinity') < c.day
AND NOT EXISTS (SELECT FROM jsonb_to_recordset(p.core -> 'employments')
    AS e (cancelled boolean, "validTo" date, "endsAt" timestamptz, "lingersUntil" timestamptz)
    WHERE NOT coalesce(e.cancelled, false) AND greatest(
        least(coalesce(e."validTo", 'infinity'), (e."endsAt" AT TIME ZONE 'UTC')::date + 1),
        (e."lingersUntil" AT TIME ZONE 'UTC')::date) >= c.day)
AND NOT EXISTS (SELECT FROM identity_case i WHERE i.organisation = p.organisation AND i.state = 'open'
    AND p.id IN (i.person, i.other))
AND NOT EXISTS (SELECT FROM person_version v WHERE v.organisation = p.organisation AND v.person = p.id
    AND v.revision = p.revision AND v.recorded_at >= c.at)
AND NOT EXISTS (SELECT FROM fact f WHERE f.organisation = p.organisation AND f.person = p.id AND f.recorded_at >= c.at)
"""
_CUT = (
    f"(SELECT ({BUSINESS_NOW} - %(days)s * interval '1 day')::date AS day, now() - %(days)s * interval '1 day' AS at) c"
)
_BEFORE = "now() - %s * interval '1 day'"
_HAS_FACTS = (
    "SELECT FROM fact f WHERE f.organisation = p.organisation AND f.person = p.id"
    " UNION ALL SELECT FROM access_decision d WHERE d.organisation = p.organisation AND d.person = p.id"
    " AND d.state <> 'proposed'"
)
_HAS_VERSIONS = (
    "SELECT FROM person_version v WHERE v.organisation = p.organisation AND v.person = p.id AND v.revision < p.revision"
)


def _left(something: str) -> str:
    """Lock those of some people who have left and of whom there is something to forget."""
    return (
        f"SELECT p.id FROM person p CROSS JOIN {_CUT} WHERE p.organisation = %(organisation)s AND p.id = ANY(%(ids)s)"
        f" AND {_ENDED} AND EXISTS ({something}) ORDER BY p.id FOR UPDATE OF p SKIP LOCKED"
    )


_OF_FACTS, _OF_VERSIONS = _left(_HAS_FACTS), _left(_HAS_VERSIONS)


def classes(organisations: Mapping[str, OrganisationSettings]) -> list[DataClass]:
    """Return ingestion's data classes, by each organisation's policy."""
    kept = {key: one.retention for key, one in organisations.items()}
    return [
        DataClass(
            "facts",
            {key: one.facts for key, one in kept.items()},
            _forget_facts,
            oldest_of("fact", "recorded_at", owned=True),
        ),
        DataClass(
            "versions",
            {key: one.versions for key, one in kept.items()},
            _forget_versions,
            oldest_of("person_version", "recorded_at", owned=True),
        ),
        DataClass(
            "files",
            {key: one.files for key, one in kept.items()},
            _forget_files,
            _oldest_file("file_person", "file_part"),
        ),
        DataClass(
            "rejects", {key: one.rejects for key, one in kept.items()}, _forget_rejects, _oldest_file("file_reject")
        ),
    ]


async def _page(conn: Connection, organisation: str, days: int, after: str, left: str) -> tuple[list[UUID], str]:
    """Lock those of the next page of people whom `left` finds; also return where the page ends, '' for the last."""
    cursor = await conn.execute(
        _PAGE, {"organisation": organisation, "after": UUID(after or UUID(int=0).hex), "page": PAGE}
    )
    ids = [row[0] for row in await cursor.fetchall()]
    values = {"organisation": organisation, "days": days, "ids": ids}
    cursor = await conn.execute(left.encode(), values)
    return [row[0] for row in await cursor.fetchall()], str(ids[-1]) if len(ids) == PAGE else ""


async def _forget_facts(conn: Connection, organisation: str, days: int, after: str) -> Portion:
    """Forget all facts of people who have left, with what operators decided about their access.

    What the facts amounted to becomes the basis on which later ones are folded: a fact that is told once more, or
    late, changes nothing.
    """
    ids, end = await _page(conn, organisation, days, after, _OF_FACTS)
    count = 0
    if ids:
        await conn.execute(
            "UPDATE person SET state = jsonb_set(state, '{basis}', state - 'basis') WHERE organisation = %s"
            " AND id = ANY(%s)",
            (organisation, ids),
        )
        # what was recorded since the people were found is kept; it is in the basis too
        facts = await conn.execute(
            f"DELETE FROM fact WHERE organisation = %s AND person = ANY(%s) AND recorded_at < {_BEFORE}",
            (organisation, ids, days),
        )
        decisions = await conn.execute(
            "DELETE FROM access_decision WHERE organisation = %s AND person = ANY(%s) AND state <> 'proposed'"
            f" AND decided_at < {_BEFORE}",
            (organisation, ids, days),
        )
        count = facts.rowcount + decisions.rowcount
    return Portion(count, end or None)


async def _forget_versions(conn: Connection, organisation: str, days: int, after: str) -> Portion:
    """Forget superseded versions of people who have left; the newest is replayed, and stays."""
    ids, end = await _page(conn, organisation, days, after, _OF_VERSIONS)
    count = 0
    if ids:
        cursor = await conn.execute(
            "DELETE FROM person_version v USING person p WHERE v.organisation = %(organisation)s"
            " AND v.person = ANY(%(ids)s) AND p.organisation = v.organisation AND p.id = v.person"
            " AND v.revision < p.revision AND v.recorded_at < now() - %(days)s * interval '1 day'",
            {"organisation": organisation, "ids": ids, "days": days},
        )
        count = cursor.rowcount
    return Portion(count, end or None)


_NEWER = (
    "SELECT FROM file_import n WHERE n.organisation = i.organisation AND n.source = i.source AND n.seq > i.seq"
    " AND n.kind = 'full' AND n.state = 'done'"
)
_OVER = (
    "i.organisation = %(organisation)s AND i.uploaded_at < now() - %(days)s * interval '1 day'"
    " AND i.state IN ('done', 'refused', 'planned') AND (i.state <> 'done' OR NOT EXISTS"
    f" (SELECT FROM file_person h WHERE h.file = i.id AND h.state = 'held') OR (i.kind = 'full' AND EXISTS ({_NEWER})))"
)


async def _next_file(conn: Connection, organisation: str, days: int, something: str) -> UUID | None:
    """Lock the oldest file that is over and has something to forget.

    Who is held keeps the file until a person decides; a full file only until a newer one has said anew who is missing.
    A plan that nobody has carried out is refused: the world it was made for is gone.
    """
    cursor = await conn.execute(
        f"SELECT i.id, i.state FROM file_import i WHERE {_OVER} AND ({something}) ORDER BY i.seq LIMIT 1"
        " FOR UPDATE OF i SKIP LOCKED".encode(),
        {"organisation": organisation, "days": days},
    )
    row = await cursor.fetchone()
    if row is None:
        return None
    found: UUID = row[0]
    if row[1] == "planned":
        await files.move(conn, found, "refused", code="file.expired", reason="the plan was not carried out in time")
    await conn.execute(
        f"UPDATE file_import i SET counts = {files.TALLY} WHERE id = %s AND counts IS NULL".encode(), (found,)
    )
    return found


async def _forget_files(conn: Connection, organisation: str, days: int, after: str) -> Portion:
    """Forget the bytes of the next file and what it did person by person; that it was and what it came to is kept."""
    del after
    something = (
        "EXISTS (SELECT FROM file_person p WHERE p.file = i.id) OR EXISTS (SELECT FROM file_part b WHERE b.file = i.id)"
    )
    file = await _next_file(conn, organisation, days, something)
    if file is None:
        return Portion(0, None)
    parts = await conn.execute("DELETE FROM file_part WHERE file = %s", (file,))
    persons = await conn.execute(
        "DELETE FROM file_person WHERE file = %(file)s AND place IN"
        " (SELECT place FROM file_person WHERE file = %(file)s ORDER BY place LIMIT %(limit)s)",
        {"file": file, "limit": AT_ONCE},
    )
    return Portion(parts.rowcount + persons.rowcount, "")


async def _forget_rejects(conn: Connection, organisation: str, days: int, after: str) -> Portion:
    """Forget rows of the next file that were set aside."""
    del after
    file = await _next_file(conn, organisation, days, "EXISTS (SELECT FROM file_reject r WHERE r.file = i.id)")
    if file is None:
        return Portion(0, None)
    cursor = await conn.execute(
        "DELETE FROM file_reject WHERE file = %(file)s AND (row_number, column_name, code) IN (SELECT row_number,"
        " column_name, code FROM file_reject WHERE file = %(file)s ORDER BY row_number LIMIT %(limit)s)",
        {"file": file, "limit": AT_ONCE},
    )
    return Portion(cursor.rowcount, "")


def _oldest_file(*tables: str) -> Oldest:
    """Return what asks when the oldest file came of which there is something in one of the tables."""
    something = " OR ".join(f"EXISTS (SELECT FROM {table} t WHERE t.file = i.id)" for table in tables)
    asking = f"SELECT min(i.uploaded_at) FROM file_import i WHERE i.organisation = %s AND ({something})"

    async def oldest(conn: Connection, organisation: str) -> datetime | None:
        cursor = await conn.execute(asking.encode(), (organisation,))
        row = await cursor.fetchone()
        return row[0] if row else None

    return oldest
