"""What is shown of files: lists of them, their counts, their plans, and what was set aside."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from psycopg.rows import class_row

from services.ingestion.domain.rows import Reject
from services.ingestion.store.files import COLUMNS, TALLY, FileImport, PlannedPerson
from services.kernel.database import Connection


async def listed(
    conn: Connection, organisation: str, *, source: str | None, state: str | None, after: UUID | None, limit: int
) -> list[FileImport]:
    """Return files, the newest first, from the one after `after` on; uses file_import_newest or file_import_source."""
    async with conn.cursor(row_factory=class_row(FileImport)) as cursor:
        await cursor.execute(
            f"SELECT {COLUMNS} FROM file_import WHERE organisation = %(organisation)s"
            f"{' AND source = %(source)s' if source is not None else ''}"
            f"{' AND state = %(state)s' if state is not None else ''}"
            f"{' AND seq < (SELECT seq FROM file_import WHERE id = %(after)s)' if after is not None else ''}"
            " ORDER BY seq DESC LIMIT %(limit)s",
            {"organisation": organisation, "source": source, "state": state, "after": after, "limit": limit},
        )
        return await cursor.fetchall()


async def held(conn: Connection, organisation: str, source: str | None) -> list[FileImport]:
    """Return files in which people are held; a newer full file takes the place of an older one (file_person_held)."""
    async with conn.cursor(row_factory=class_row(FileImport)) as cursor:
        await cursor.execute(
            f"SELECT {COLUMNS} FROM file_import i WHERE organisation = %(organisation)s"
            " AND (%(source)s::text IS NULL OR source = %(source)s)"
            " AND id = ANY(ARRAY(SELECT DISTINCT file FROM file_person WHERE state = 'held'))"
            " AND (kind = 'delta' OR NOT EXISTS (SELECT FROM file_import n WHERE n.organisation = i.organisation"
            " AND n.source = i.source AND n.seq > i.seq AND n.kind = 'full' AND n.state <> 'refused'))"
            " ORDER BY seq DESC",
            {"organisation": organisation, "source": source},
        )
        return await cursor.fetchall()


async def tallies(conn: Connection, files: Sequence[UUID]) -> Mapping[UUID, Any]:
    """Return how many people are in which state, what the changes are, and how many rows were set aside."""
    cursor = await conn.execute(
        f"SELECT id, coalesce(counts, {TALLY}) FROM file_import i WHERE id = ANY(%s)", (list(files),)
    )
    return {row[0]: row[1] for row in await cursor.fetchall()}


async def rejects(conn: Connection, file: UUID, after: int, limit: int) -> list[Reject]:
    """Return what was set aside, by row; a row's rejects are never parted."""
    cursor = await conn.execute(
        "SELECT row_number, column_name, value, code, reason, parameters FROM file_reject"
        " WHERE file = %s AND row_number > %s ORDER BY row_number, column_name, code FETCH FIRST %s ROWS WITH TIES",
        (file, after, limit),
    )
    return [Reject(*row) for row in await cursor.fetchall()]


async def persons(
    conn: Connection, file: UUID, *, state: str | None, kind: str | None, after: int, limit: int, protected: bool
) -> list[PlannedPerson]:
    """Return people of a plan in order, those with nothing to do left out unless they are asked for."""
    async with conn.cursor(row_factory=class_row(PlannedPerson)) as cursor:
        await cursor.execute(
            "SELECT f.place, f.external_id, f.person, f.base, f.state, f.missing, f.announced, f.protected, f.kind,"
            " f.reason, f.fields FROM file_person f JOIN file_import i ON i.id = f.file"
            " WHERE f.file = %(file)s AND f.place > %(after)s"
            " AND CASE WHEN %(state)s::text IS NULL THEN f.state <> 'unchanged' ELSE f.state = %(state)s END"
            " AND (%(kind)s::text IS NULL OR f.kind = %(kind)s)"
            " AND (%(protected)s OR i.records = 'units' OR (NOT f.protected"
            " AND NOT EXISTS (SELECT FROM source_identity s JOIN person p ON p.organisation = s.organisation"
            " AND p.id = s.person WHERE s.organisation = i.organisation AND s.source = i.source"
            " AND s.external_id = f.external_id AND coalesce(p.core ->> 'protection', 'none') <> 'none')))"
            " ORDER BY f.place LIMIT %(limit)s",
            {"file": file, "after": after, "state": state, "kind": kind, "protected": protected, "limit": limit},
        )
        return await cursor.fetchall()
