"""Whom files take away: counted against the organisation, the source and each unit, and held beyond the guard."""

from collections.abc import Sequence
from uuid import UUID

from services.ingestion.domain.missing import AllGoing, Going
from services.ingestion.store.files import UNIT, FileImport
from services.kernel.clock import BUSINESS_NOW
from services.kernel.database import Connection

_HERE = (
    "p.core IS NOT NULL AND p.core ->> 'aliasOf' IS NULL AND NOT (p.core #>> '{employments,-1,cancelled}')::boolean"
    " AND p.core #>> '{employments,-1,endsAt}' IS NULL"
    f" AND coalesce(p.core #>> '{{employments,-1,validTo}}' >= ({BUSINESS_NOW})::date::text, true)"
)
"""Whoever is employed, or will be, by the employment that began last: who has left makes no limit larger."""

_LATELY = (
    "SELECT i.source, p.unit FROM file_import i JOIN file_person p ON p.file = i.id AND p.takes"
    " AND (p.state = 'applied' OR (p.state = 'planned' AND i.state = 'applying'))"
    " WHERE i.organisation = %(organisation)s AND i.id <> %(file)s"
    " AND coalesce(i.finished_at, now()) > now() - interval '1 day'"
)
"""Whom other files have taken in the last 24 hours, or are about to; whether a person has let them through or not."""


async def going(conn: Connection, file: FileImport) -> AllGoing:
    """Return how many a file takes away: of the organisation, of its source, and of each unit that it touches.

    Files of one organisation wait for each other here until the transaction ends.
    """
    await conn.execute("SELECT pg_advisory_xact_lock(hashtext('file_guard'), hashtext(%s))", (file.organisation,))
    cursor = await conn.execute(
        f"WITH lately AS ({_LATELY})"
        " SELECT (SELECT count(*) FROM file_person WHERE file = %(file)s AND takes AND missing AND state = 'planned'),"
        " (SELECT count(*) FROM file_person WHERE file = %(file)s AND takes AND state = 'planned'),"
        " (SELECT count(*) FROM lately), (SELECT count(*) FROM lately WHERE source = %(source)s),"
        f" (SELECT count(*) FROM person p WHERE p.organisation = %(organisation)s AND {_HERE}),"
        " (SELECT count(*) FROM source_identity i JOIN person p ON p.organisation = i.organisation AND p.id = i.person"
        f" WHERE i.organisation = %(organisation)s AND i.source = %(source)s AND {_HERE})",
        {"organisation": file.organisation, "source": file.source, "file": file.id},
    )
    row = await cursor.fetchone()
    missing, taken, lately, of_source, people, known = map(int, row or (0, 0, 0, 0, 0, 0))
    units = await _of_units(conn, file) if taken else {}
    return AllGoing(missing, Going(taken, lately, people), Going(taken, of_source, known), units)


async def _of_units(conn: Connection, file: FileImport) -> dict[str, Going]:
    cursor = await conn.execute(
        f"WITH lately AS ({_LATELY}), taken AS (SELECT unit, count(*) AS people FROM file_person"
        " WHERE file = %(file)s AND takes AND state = 'planned' AND unit IS NOT NULL GROUP BY unit),"
        f" standing AS (SELECT {UNIT.format(core='p.core')} AS unit, count(*) AS people FROM person p"
        f" WHERE p.organisation = %(organisation)s AND {_HERE} GROUP BY 1)"
        " SELECT t.unit, t.people, (SELECT count(*) FROM lately WHERE unit = t.unit), coalesce(s.people, 0)"
        " FROM taken t LEFT JOIN standing s ON s.unit = t.unit",
        {"organisation": file.organisation, "file": file.id},
    )
    return {row[0]: Going(*row[1:]) for row in await cursor.fetchall()}


async def hold(conn: Connection, file: UUID, *, units: Sequence[str] | None, missing: bool) -> int:
    """Hold whom a file takes away: everybody, or those of some units and, with `missing`, all whom it leaves out."""
    cursor = await conn.execute(
        "UPDATE file_person SET state = 'held' WHERE file = %(file)s AND state = 'planned' AND takes"
        " AND (%(units)s::text[] IS NULL OR unit = ANY(%(units)s) OR (missing AND %(missing)s))",
        {"file": file, "units": None if units is None else list(units), "missing": missing},
    )
    return cursor.rowcount
