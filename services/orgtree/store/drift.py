"""What the last reading of a target found otherwise than it shall be; and what of ours it has to be compared with."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from services.kernel.database import Connection
from services.kernel.readings.leases import Reading
from services.orgtree.domain.projection import Kind


@dataclass(frozen=True, order=True)
class Finding:
    """A difference: `count` members, where it is about members."""

    unit: str
    kind: Kind
    code: str
    count: int = 1


@dataclass(frozen=True)
class Shall:
    """What shall stand for a unit: its name and the one above it; no name: nothing. `known`: ids of what stands."""

    name: str | None
    parent: str | None
    known: Mapping[Kind, str]


async def shall(conn: Connection, organisation: str, target: str) -> dict[str, Shall]:
    """Return all units that are in effect, or for which something stands."""
    cursor = await conn.execute(
        "SELECT coalesce(e.unit, o.unit), e.record ->> 'name', e.parent, o.kinds, o.entries FROM"
        " (SELECT unit, record, parent FROM effective_unit WHERE organisation = %(organisation)s) e FULL JOIN"
        " (SELECT unit, array_agg(kind ORDER BY kind) AS kinds, array_agg(entry ORDER BY kind) AS entries"
        " FROM unit_object WHERE organisation = %(organisation)s AND target = %(target)s GROUP BY unit) o USING (unit)"
        " WHERE e.record IS NOT NULL OR o.unit IS NOT NULL",
        {"organisation": organisation, "target": target},
    )
    return {
        row[0]: Shall(row[1], row[2], dict(zip(map(Kind, row[3] or ()), row[4] or (), strict=True)))
        for row in await cursor.fetchall()
    }


async def busy(conn: Connection, organisation: str, target: str, units: Collection[str]) -> frozenset[str]:
    """Return those of the units whose work is under way or wanted: what differs there is work, and not drift."""
    cursor = await conn.execute(
        "SELECT subject FROM work WHERE organisation = %s AND target = %s AND kind = 'unit' AND subject = ANY(%s)"
        " AND (wanted > done OR lease_until IS NOT NULL OR state <> 'idle')",
        (organisation, target, list(units)),
    )
    return frozenset(row[0] for row in await cursor.fetchall())


async def held(conn: Connection, organisation: str, target: str, unit: str, kind: Kind) -> dict[str, UUID]:
    """Return who is a member of a group: account to person; by primary key."""
    cursor = await conn.execute(
        "SELECT held, person FROM group_member WHERE (organisation, target, unit, kind) = (%s, %s, %s, %s)"
        " AND held IS NOT NULL",
        (organisation, target, unit, kind.value),
    )
    return {row[0]: row[1] for row in await cursor.fetchall()}


async def lost(
    conn: Connection, organisation: str, target: str, unit: str, kind: Kind, entries: Collection[str]
) -> None:
    """Note that these accounts are no members any more; the next pass makes them members again."""
    await conn.execute(
        "UPDATE group_member SET held = NULL, name = NULL WHERE (organisation, target, unit, kind) = (%s, %s, %s, %s)"
        " AND held = ANY(%s)",
        (organisation, target, unit, kind.value, sorted(entries)),
    )


async def keep(conn: Connection, reading: Reading, findings: Sequence[Finding]) -> None:
    """Keep what was found; a difference is one row however often it is found."""
    await conn.execute(
        "INSERT INTO finding (organisation, target, unit, kind, code, count, run)"
        " SELECT %s, %s, unit, kind, code, count, %s FROM unnest(%b::text[], %b::text[], %b::text[], %b::int[])"
        " AS f (unit, kind, code, count) ON CONFLICT (organisation, target, unit, kind, code)"
        " DO UPDATE SET count = excluded.count, run = excluded.run",
        (
            reading.organisation,
            reading.target,
            reading.run,
            [one.unit for one in findings],
            [one.kind.value for one in findings],
            [one.code for one in findings],
            [one.count for one in findings],
        ),
    )


async def conclude(conn: Connection, reading: Reading) -> None:
    """Forget what this run did not find any more."""
    await conn.execute(
        "DELETE FROM finding WHERE organisation = %s AND target = %s AND run <> %s",
        (reading.organisation, reading.target, reading.run),
    )


async def findings(conn: Connection, organisation: str, target: str, *, limit: int) -> list[dict[str, Any]]:
    """Return what the last reading found, by unit."""
    cursor = await conn.execute(
        "SELECT unit, kind, code, count, first_seen FROM finding WHERE organisation = %s AND target = %s"
        " ORDER BY unit, kind, code LIMIT %s",
        (organisation, target, limit),
    )
    names = ("unit", "kind", "code", "count", "firstSeen")
    return [dict(zip(names, row, strict=True)) for row in await cursor.fetchall()]


async def tallies(conn: Connection) -> dict[tuple[str, ...], float]:
    """Count findings by (target, code)."""
    cursor = await conn.execute("SELECT target, code, count(*) FROM finding GROUP BY 1, 2")
    return {(row[0], row[1]): float(row[2]) for row in await cursor.fetchall()}
