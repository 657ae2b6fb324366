"""Where people are, as it was last told."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter

from contracts.organisation import Membership, Place
from services.kernel.database import Connection
from services.orgtree.domain.placement import Job

PAGE = 500
_MEMBERSHIPS = TypeAdapter(tuple[Membership, ...])


@dataclass(frozen=True)
class PlacementRow:
    """One person's place. `event`: the last placement.changed; `signature`: of the last evaluation."""

    organisation: str
    person: UUID
    generation: int
    version: int
    record_generation: int
    revision: int
    place: Place | None
    memberships: tuple[Membership, ...]
    missing: str | None
    missing_due: datetime | None
    changed_at: datetime
    signature: str
    event: str | None = None
    jobs: tuple[Job, ...] = ()


async def load(conn: Connection, keys: Sequence[tuple[str, UUID]]) -> dict[tuple[str, UUID], PlacementRow]:
    """Return the rows of many people in one round, by primary key."""
    cursor = await conn.execute(
        "SELECT p.organisation, p.person, p.generation, p.version, p.record_generation, p.revision, p.place::text,"
        " p.memberships::text, p.missing, p.missing_due, p.changed_at, p.signature, p.event, (SELECT array_agg("
        " ARRAY[m.employment::text, m.named, m.unit, m.main::text, m.hidden::text] ORDER BY m.employment)"
        " FROM membership m WHERE (m.organisation, m.person) = (p.organisation, p.person)) FROM placement p"
        " JOIN unnest(%b::text[], %b::uuid[]) AS k (organisation, person) USING (organisation, person)",
        ([key[0] for key in keys], [key[1] for key in keys]),
    )
    return {(row[0], row[1]): _row(row) for row in await cursor.fetchall()}


async def store(conn: Connection, rows: Sequence[PlacementRow]) -> None:
    """Write rows and who is in which unit; the caller's lease on each person's work makes them the newest."""
    ordered = sorted(rows, key=lambda row: (row.organisation, row.person))
    people = ([row.organisation for row in ordered], [row.person for row in ordered])
    await conn.execute(
        "INSERT INTO placement (organisation, person, generation, version, record_generation, revision, unit, place,"
        " memberships, missing, missing_due, changed_at, signature, event) SELECT * FROM unnest(%b::text[],"
        " %b::uuid[], %b::int[], %b::bigint[], %b::int[], %b::bigint[], %b::text[], %b::jsonb[], %b::jsonb[],"
        " %b::text[], %b::timestamptz[], %b::timestamptz[], %b::text[], %b::text[])"
        " ON CONFLICT (organisation, person) DO UPDATE SET generation = excluded.generation,"
        " version = excluded.version, record_generation = excluded.record_generation, revision = excluded.revision,"
        " unit = excluded.unit, place = excluded.place, memberships = excluded.memberships, missing = excluded.missing,"
        " missing_due = excluded.missing_due, changed_at = excluded.changed_at, signature = excluded.signature,"
        " event = excluded.event",
        (
            *people,
            [row.generation for row in ordered],
            [row.version for row in ordered],
            [row.record_generation for row in ordered],
            [row.revision for row in ordered],
            [None if row.place is None else row.place.unit for row in ordered],
            [None if row.place is None else row.place.model_dump_json(by_alias=True) for row in ordered],
            [_MEMBERSHIPS.dump_json(row.memberships, by_alias=True).decode() for row in ordered],
            [row.missing for row in ordered],
            [row.missing_due for row in ordered],
            [row.changed_at for row in ordered],
            [row.signature for row in ordered],
            [row.event for row in ordered],
        ),
    )
    jobs = [(row, job) for row in ordered for job in row.jobs]
    keys = (
        [row.organisation for row, _ in jobs],
        [row.person for row, _ in jobs],
        [job.employment for _, job in jobs],
    )
    await conn.execute(
        "DELETE FROM membership m USING unnest(%b::text[], %b::uuid[]) AS p (organisation, person)"
        " WHERE (m.organisation, m.person) = (p.organisation, p.person) AND NOT EXISTS (SELECT FROM"
        " unnest(%b::text[], %b::uuid[], %b::uuid[]) AS k (organisation, person, employment)"
        " WHERE (k.organisation, k.person, k.employment) = (m.organisation, m.person, m.employment))",
        (*people, *keys),
    )
    await conn.execute(
        "INSERT INTO membership AS m (organisation, person, employment, named, unit, main, hidden)"
        " SELECT * FROM unnest(%b::text[], %b::uuid[], %b::uuid[], %b::text[], %b::text[], %b::boolean[],"
        " %b::boolean[]) ORDER BY 1, 2, 3 ON CONFLICT (organisation, person, employment) DO UPDATE SET"
        " named = excluded.named, unit = excluded.unit, main = excluded.main, hidden = excluded.hidden"
        " WHERE (m.named, m.unit, m.main, m.hidden)"
        " IS DISTINCT FROM (excluded.named, excluded.unit, excluded.main, excluded.hidden)",
        (
            *keys,
            [job.named for _, job in jobs],
            [job.unit for _, job in jobs],
            [job.main for _, job in jobs],
            [job.hidden for _, job in jobs],
        ),
    )


async def everybody(conn: Connection, organisation: str) -> list[UUID]:
    """Return all whose place is known, or that they have none."""
    cursor = await conn.execute("SELECT person FROM placement WHERE organisation = %s ORDER BY 1", (organisation,))
    return [row[0] for row in await cursor.fetchall()]


async def events(conn: Connection) -> AsyncIterator[list[str]]:
    """Yield the last placement.changed of everybody, in pages by primary key."""
    after: tuple[str, UUID] = ("", UUID(int=0))
    while True:
        cursor = await conn.execute(
            "SELECT organisation, person, event FROM placement WHERE (organisation, person) > (%s, %s)"
            " AND event IS NOT NULL ORDER BY organisation, person LIMIT %s",
            (*after, PAGE),
        )
        rows = await cursor.fetchall()
        if not rows:
            return
        after = (rows[-1][0], rows[-1][1])
        yield [row[2] for row in rows]


def _row(row: Sequence[Any]) -> PlacementRow:
    organisation, person, generation, version, record_generation, revision, place, memberships, *rest, jobs = row
    missing, missing_due, changed_at, signature, event = rest
    return PlacementRow(
        organisation=organisation,
        person=person,
        generation=generation,
        version=version,
        record_generation=record_generation,
        revision=revision,
        place=None if place is None else Place.model_validate_json(place),
        memberships=_MEMBERSHIPS.validate_json(memberships, strict=False),
        missing=missing,
        missing_due=missing_due,
        changed_at=changed_at,
        signature=signature,
        event=event,
        jobs=tuple(sorted(Job(UUID(job[0]), job[1], job[2], job[3] == "true", job[4] == "true") for job in jobs or ())),
    )
