"""Who is where, for those who ask."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from contracts.codes import Protection
from contracts.person import CoreRecord, PersonChanged
from services.kernel.database import Connection


@dataclass(frozen=True)
class Member:
    """Somebody in a unit; `main`: by the main employment. The record is the newest."""

    person: UUID
    main: bool
    record: CoreRecord


async def members(
    conn: Connection, organisation: str, unit: str, *, protected: bool, after: UUID, limit: int
) -> list[Member]:
    """Return who is in a unit, by id, after `after`; those with a protected identity only when `protected`."""
    cursor = await conn.execute(
        "SELECT m.person, bool_or(m.main), min(i.body) FROM membership m"
        " JOIN input i ON (i.kind, i.organisation, i.subject) = ('person', m.organisation, m.person::text)"
        " WHERE m.unit = %(unit)s AND m.organisation = %(organisation)s AND m.person > %(after)s"
        " AND (%(protected)s OR NOT m.hidden)"
        " GROUP BY m.person ORDER BY m.person LIMIT %(limit)s",
        {
            "unit": unit, "organisation": organisation, "after": after, "limit": limit,
            "protected": protected,
        },
    )  # fmt: skip
    return [Member(row[0], row[1], _record(row[2])) for row in await cursor.fetchall()]


async def counts(conn: Connection, organisation: str, units: Collection[str], *, protected: bool) -> dict[str, int]:
    """Return how many people are in each of the units, as many as are shown; by the index membership_unit."""
    cursor = await conn.execute(
        "SELECT unit, count(DISTINCT person) FROM membership WHERE organisation = %s AND unit = ANY(%s)"
        " AND (%s OR NOT hidden) GROUP BY unit",
        (organisation, sorted(units), protected),
    )
    return {row[0]: row[1] for row in await cursor.fetchall()}


async def naming(conn: Connection, organisation: str, units: Collection[str]) -> dict[str, int]:
    """Return how many people's records name each of the units now; by the index membership_named."""
    cursor = await conn.execute(
        "SELECT named, count(DISTINCT person) FROM membership WHERE organisation = %s AND named = ANY(%s)"
        " GROUP BY named",
        (organisation, sorted(units)),
    )
    return {row[0]: row[1] for row in await cursor.fetchall()}


async def names(
    conn: Connection, organisation: str, people: Collection[UUID], *, protected: bool
) -> Mapping[UUID, str]:
    """Return what people are called; those with a protected identity only when `protected`."""
    cursor = await conn.execute(
        "SELECT p.person, i.body FROM unnest(%b::uuid[]) AS p (person) JOIN input i"
        " ON (i.kind, i.organisation, i.subject) = ('person', %s, p.person::text)",
        (sorted(people), organisation),
    )
    records = {row[0]: _record(row[1]) for row in await cursor.fetchall()}
    return {
        person: record.name.display
        for person, record in records.items()
        if protected or record.protection == Protection.NONE
    }


@dataclass(frozen=True)
class Standing:
    """Of which version an organisation's tree is, and when it changes next."""

    version: int
    effective_at: datetime
    next_due: datetime | None


async def standing(conn: Connection, organisation: str) -> Standing | None:
    """Return how an organisation's tree stands; None: it was told of no unit."""
    cursor = await conn.execute(
        "SELECT version, effective_at, next_due FROM tree WHERE organisation = %s", (organisation,)
    )
    row = await cursor.fetchone()
    return Standing(*row) if row else None


def _record(body: str) -> CoreRecord:
    return PersonChanged.model_validate_json(body, extra="ignore").record
