"""Files: what was uploaded, how far it has come, and what it does person by person."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from services.ingestion.domain.rows import Reject
from services.kernel.database import Connection

STEP = 250
"""Persons of a transaction: an event for one of them waits for the rest, so they are few."""


@dataclass(frozen=True)
class FileImport:
    """One file. State: received, planned, applying, done, refused."""

    id: UUID
    organisation: str
    source: str
    kind: str
    name: str
    hash: bytes
    size: int
    made_at: datetime
    plan: bool
    baseline: bool
    actor: str
    uploaded_at: datetime
    state: str
    row_count: int
    person_count: int
    unread: int
    code: str | None
    reason: str | None
    finished_at: datetime | None
    traceparent: str | None
    parameters: Mapping[str, str | int] = field(default_factory=dict)
    records: str = "persons"


@dataclass(frozen=True)
class PlannedPerson:
    """What a file does to a person, or to a unit: `kind` and `reason` of the revision to come, and names of fields.

    `takes`: the person goes, unannounced, so it counts in the guard. `unit`: where the person is by now. `released`: a
    person has let it through.
    """

    place: int
    external_id: str
    person: UUID | None
    base: str
    state: str
    missing: bool = False
    announced: bool = False
    protected: bool = False
    kind: str | None = None
    reason: str | None = None
    fields: Sequence[str] = ()
    event_id: str | None = None
    hash: bytes | None = None
    body: bytes | None = None
    takes: bool = False
    unit: str | None = None
    released: bool = False


@dataclass(frozen=True)
class Standing:
    """What is known of somebody before a file: `base` names revision and newest fact, '' for somebody unknown."""

    person: UUID | None
    base: str
    protected: bool
    hash: bytes | None
    unit: str | None = None


COLUMNS = (
    "id, organisation, source, kind, name, hash, size, made_at, plan, baseline, actor, uploaded_at, state, row_count,"
    " person_count, unread, code, reason, finished_at, traceparent, parameters, records"
)
"""The columns of a `FileImport`."""
TALLY = (
    "(WITH g AS MATERIALIZED (SELECT state, kind, missing, count(*) AS n FROM file_person WHERE file = i.id"
    " GROUP BY 1, 2, 3) SELECT jsonb_build_object('states', (SELECT coalesce(jsonb_object_agg(state, n), '{}')"
    " FROM (SELECT state, sum(n) AS n FROM g GROUP BY 1) s), 'kinds', (SELECT coalesce(jsonb_object_agg(kind, n), '{}')"
    " FROM (SELECT kind, sum(n) AS n FROM g WHERE kind IS NOT NULL GROUP BY 1) k),"
    " 'planned', (SELECT coalesce(jsonb_object_agg(kind, n), '{}') FROM (SELECT kind, sum(n) AS n FROM g"
    " WHERE state = 'planned' AND kind IS NOT NULL GROUP BY 1) p), 'missing', (SELECT coalesce(sum(n), 0) FROM g"
    " WHERE missing), 'rejectedRows', (SELECT count(DISTINCT row_number) FROM file_reject WHERE file = i.id)))"
)
"""Counts of the file `i`, in one look at its people."""
_BASE = "coalesce(p.revision || '/' || (p.state -> 'last' ->> 'eventId'), '')"
UNIT = "({core} #>> '{{employments,-1,assignments,-1,unit}}')"
_STANDING = (
    f"SELECT k.external_id, p.id, {_BASE}, coalesce(p.core ->> 'protection', 'none') <> 'none',"
    " CASE WHEN r.last_event = p.state -> 'last' ->> 'eventId' THEN r.hash END,"
    f" {UNIT.format(core='p.core')}"
    " FROM unnest(%(ids)b::text[]) AS k (external_id)"
    " LEFT JOIN LATERAL (SELECT person FROM source_identity WHERE organisation = %(organisation)s"
    " AND source = %(source)s AND external_id = k.external_id OFFSET 0) i ON true"
    " LEFT JOIN LATERAL (SELECT * FROM person WHERE organisation = %(organisation)s AND id = i.person OFFSET 0) p"
    " ON true LEFT JOIN LATERAL (SELECT * FROM file_record WHERE organisation = %(organisation)s"
    " AND source = %(source)s AND external_id = k.external_id OFFSET 0) r ON true"
)


async def add(conn: Connection, file: FileImport, parts: Sequence[bytes]) -> None:
    """Store an uploaded file with its bytes."""
    await conn.execute(
        "INSERT INTO file_import (id, organisation, source, kind, name, hash, size, made_at, plan, baseline, actor,"
        " traceparent) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            file.id,
            file.organisation,
            file.source,
            file.kind,
            file.name,
            file.hash,
            file.size,
            file.made_at,
            file.plan,
            file.baseline,
            file.actor,
            file.traceparent,
        ),
    )
    for number, content in enumerate(parts):
        await conn.execute(
            "INSERT INTO file_part (file, part, content) VALUES (%s, %s, %b)", (file.id, number, content)
        )


async def find(conn: Connection, organisation: str, file: UUID, *, lock: bool = False) -> FileImport | None:
    """Return a file."""
    async with conn.cursor(row_factory=class_row(FileImport)) as cursor:
        await cursor.execute(
            f"SELECT {COLUMNS} FROM file_import WHERE id = %s AND organisation = %s{' FOR UPDATE' if lock else ''}",
            (file, organisation),
        )
        return await cursor.fetchone()


async def newest(conn: Connection, organisation: str, source: str) -> FileImport | None:
    """Return the newest file of a source that was not refused; uploads of one source wait for each other here."""
    await conn.execute("SELECT pg_advisory_xact_lock(hashtext('file_import'), hashtext(%s))", (source,))
    async with conn.cursor(row_factory=class_row(FileImport)) as cursor:
        await cursor.execute(
            f"SELECT {COLUMNS} FROM file_import WHERE organisation = %s AND source = %s AND state <> 'refused'"
            " ORDER BY seq DESC LIMIT 1",
            (organisation, source),
        )
        return await cursor.fetchone()


async def running(conn: Connection, organisation: str, source: str) -> FileImport | None:
    """Return the oldest file of a source that has something to do; uses file_import_running."""
    async with conn.cursor(row_factory=class_row(FileImport)) as cursor:
        await cursor.execute(
            f"SELECT {COLUMNS} FROM file_import WHERE organisation = %s AND source = %s"
            " AND state IN ('received', 'applying') ORDER BY seq LIMIT 1",
            (organisation, source),
        )
        return await cursor.fetchone()


async def part(conn: Connection, file: UUID, number: int) -> bytes | None:
    """Return a part of the bytes, or None after the last."""
    cursor = await conn.execute(
        "SELECT content FROM file_part WHERE file = %s AND part = %s", (file, number), binary=True
    )
    row = await cursor.fetchone()
    return None if row is None else bytes(row[0])


async def counted(conn: Connection, file: UUID, records: str, rows: int, subjects: int, unread: int) -> None:
    """Note how much there is in a file, and whether it tells of persons or of units."""
    await conn.execute(
        "UPDATE file_import SET records = %s, row_count = %s, person_count = %s, unread = %s WHERE id = %s",
        (records, rows, subjects, unread, file),
    )


async def move(
    conn: Connection,
    file: UUID,
    state: str,
    *,
    code: str | None = None,
    reason: str | None = None,
    parameters: Mapping[str, str | int] | None = None,
) -> None:
    """Bring a file to another state; where nothing moves by itself its counts are kept."""
    await conn.execute(
        "UPDATE file_import i SET state = %(state)s, code = %(code)s, reason = %(reason)s, parameters = %(parameters)s,"
        " finished_at = CASE WHEN %(state)s IN ('done', 'refused') THEN now() END,"
        f" counts = CASE WHEN %(state)s IN ('planned', 'done', 'refused') THEN {TALLY} END WHERE id = %(file)s",
        {"state": state, "code": code, "reason": reason, "parameters": Jsonb(dict(parameters or {})), "file": file},
    )


async def planned_to(conn: Connection, file: UUID) -> int:
    """Return the last place that is planned, 0 before the first."""
    cursor = await conn.execute("SELECT coalesce(max(place), 0) FROM file_person WHERE file = %s", (file,))
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def standing(conn: Connection, organisation: str, source: str, ids: Sequence[str]) -> dict[str, Standing]:
    """Return what is known of people before a file; nothing is locked."""
    cursor = await conn.execute(_STANDING, {"organisation": organisation, "source": source, "ids": list(ids)})
    return {row[0]: Standing(*row[1:6]) for row in await cursor.fetchall()}


async def known(conn: Connection, organisation: str, source: str, after: str, limit: int) -> list[str]:
    """Return external ids of people of a source who have a record, in order; uses the key of source_identity."""
    cursor = await conn.execute(
        "SELECT i.external_id FROM source_identity i CROSS JOIN LATERAL (SELECT FROM person"
        " WHERE organisation = i.organisation AND id = i.person AND core IS NOT NULL OFFSET 0) p"
        " WHERE i.organisation = %s AND i.source = %s AND i.external_id > %s ORDER BY i.external_id LIMIT %s",
        (organisation, source, after, limit),
    )
    return [row[0] for row in await cursor.fetchall()]


async def missing_to(conn: Connection, file: UUID) -> str:
    """Return the last of those who are missing and planned, '' before the first."""
    cursor = await conn.execute(
        "SELECT coalesce(max(external_id), '') FROM file_person WHERE file = %s AND missing", (file,)
    )
    row = await cursor.fetchone()
    return str(row[0]) if row else ""


async def plan(conn: Connection, file: UUID, persons: Sequence[PlannedPerson]) -> None:
    """Store what a file does to people; a place that is stored stays as it is."""
    await conn.execute(
        "INSERT INTO file_person (file, place, external_id, person, base, state, missing, announced, protected, kind,"
        " reason, fields, event_id, hash, body, takes, unit) SELECT %s, place, external_id, person, base, state,"
        " missing, announced, protected, kind, reason, string_to_array(fields, ' '), event_id, hash, body, takes, unit"
        " FROM unnest(%b::int[], %b::text[], %b::uuid[], %b::text[], %b::text[], %b::boolean[], %b::boolean[],"
        " %b::boolean[], %b::text[], %b::text[], %b::text[], %b::text[], %b::bytea[], %b::bytea[], %b::boolean[],"
        " %b::text[]) AS n (place, external_id, person, base, state, missing, announced, protected, kind, reason,"
        " fields, event_id, hash, body, takes, unit)"
        " ON CONFLICT DO NOTHING",
        (
            file,
            [one.place for one in persons],
            [one.external_id for one in persons],
            [one.person for one in persons],
            [one.base for one in persons],
            [one.state for one in persons],
            [one.missing for one in persons],
            [one.announced for one in persons],
            [one.protected for one in persons],
            [one.kind for one in persons],
            [one.reason for one in persons],
            [" ".join(one.fields) for one in persons],
            [one.event_id for one in persons],
            [one.hash for one in persons],
            [one.body for one in persons],
            [one.takes for one in persons],
            [one.unit for one in persons],
        ),
    )


async def reject(conn: Connection, file: UUID, rejects: Sequence[Reject]) -> None:
    """Set rows aside; once is enough."""
    if not rejects:
        return
    await conn.execute(
        "INSERT INTO file_reject (file, row_number, column_name, value, code, reason, parameters) SELECT %s, * FROM"
        " unnest(%b::int[], %b::text[], %b::text[], %b::text[], %b::text[], %b::jsonb[]) ON CONFLICT DO NOTHING",
        (
            file,
            [one.row for one in rejects],
            [one.column for one in rejects],
            [_storable(one.value) for one in rejects],
            [one.code for one in rejects],
            [one.reason for one in rejects],
            [Jsonb(dict(one.parameters)) for one in rejects],
        ),
    )


def _storable(text: str) -> str:
    return text.replace("\0", "\ufffd")


async def next_planned(conn: Connection, file: UUID, limit: int | None = STEP) -> list[PlannedPerson]:
    """Return the next people or units to apply; uses file_person_state."""
    async with conn.cursor(row_factory=class_row(PlannedPerson)) as cursor:
        await cursor.execute(
            "SELECT place, external_id, person, base, state, missing, announced, protected, kind, reason, fields,"
            " event_id, hash, body, takes, unit, released FROM file_person WHERE file = %s AND state = 'planned'"
            " ORDER BY place LIMIT %s",
            (file, limit),
        )
        return await cursor.fetchall()


async def settle(conn: Connection, file: FileImport, settled: Mapping[int, str]) -> None:
    """Note what became of people; of whom it is a fact, the ledger has the event, and the next file is compared."""
    for state in sorted(set(settled.values())):
        places = [place for place, found in settled.items() if found == state]
        # an array and no join: the planner has not heard of a new file, and would read all of it for each place
        await conn.execute(
            "UPDATE file_person SET state = %s, body = NULL WHERE file = %s AND place = ANY(%b::int[])",
            (state, file.id, places),
        )
    applied = [place for place, state in settled.items() if state == "applied"]
    await conn.execute(
        "INSERT INTO file_record AS r (organisation, source, external_id, hash, last_event)"
        " SELECT %s, %s, external_id, hash, event_id FROM file_person WHERE file = %s AND place = ANY(%b::int[])"
        " AND hash IS NOT NULL ORDER BY external_id ON CONFLICT (organisation, source, external_id)"
        " DO UPDATE SET hash = excluded.hash, last_event = excluded.last_event",
        (file.organisation, file.source, file.id, applied),
    )


async def remember(conn: Connection, file: FileImport) -> None:
    """Remember what the file told of people whom it did not change, for as long as no other fact comes."""
    await conn.execute(
        "INSERT INTO file_record AS r (organisation, source, external_id, hash, last_event)"
        " SELECT %s, %s, external_id, hash, split_part(base, '/', 2) FROM file_person WHERE file = %s"
        " AND state = 'unchanged' AND hash IS NOT NULL ORDER BY external_id"
        " ON CONFLICT (organisation, source, external_id) DO UPDATE SET hash = excluded.hash,"
        " last_event = excluded.last_event WHERE (r.hash, r.last_event) <> (excluded.hash, excluded.last_event)",
        (file.organisation, file.source, file.id),
    )


async def decide(conn: Connection, file: UUID, state: str, ids: Sequence[str] | None) -> int:
    """Release (`planned`) or refuse (`refused`) people who are held, all of them or those named; return how many."""
    cursor = await conn.execute(
        "UPDATE file_person SET state = %(state)s, released = %(state)s = 'planned',"
        " body = CASE WHEN %(state)s = 'planned' THEN body END"
        " WHERE file = %(file)s AND state = 'held' AND (%(ids)s::text[] IS NULL OR external_id = ANY(%(ids)s))",
        {"file": file, "state": state, "ids": None if ids is None else list(ids)},
    )
    await conn.execute(f"UPDATE file_import i SET counts = {TALLY} WHERE id = %s", (file,))
    return cursor.rowcount


async def moved(conn: Connection, file: FileImport, states: Sequence[str], limit: int) -> list[UUID]:
    """Return people of whom the ledger has learned something since the plan was made."""
    cursor = await conn.execute(
        "SELECT p.id FROM file_person f JOIN source_identity i ON i.organisation = %s AND i.source = %s"
        " AND i.external_id = f.external_id JOIN person p ON p.organisation = i.organisation AND p.id = i.person"
        f" WHERE f.file = %s AND f.state = ANY(%s) AND f.base <> {_BASE} ORDER BY f.place LIMIT %s",
        (file.organisation, file.source, file.id, list(states), limit),
    )
    return [row[0] for row in await cursor.fetchall()]
