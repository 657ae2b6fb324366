"""Which units are live in a target, and by which rules it was last written."""

from collections.abc import Mapping, Sequence
from typing import Any

from services.kernel.database import Connection

EVERY_UNIT = "*"


async def live(conn: Connection, target: str, organisations: Sequence[str]) -> Mapping[str, frozenset[str]]:
    """Return the units that are live in a target, by organisation; by primary key."""
    cursor = await conn.execute(
        "SELECT organisation, array_agg(unit) FROM live_unit WHERE organisation = ANY(%s) AND target = %s GROUP BY 1",
        (list(organisations), target),
    )
    return {row[0]: frozenset(row[1]) for row in await cursor.fetchall()}


async def go_live(
    conn: Connection, organisation: str, target: str, units: Sequence[str], *, actor: str, reason: str
) -> list[str]:
    """Let the people of these units be written in a target. Returns those that were not live before."""
    cursor = await conn.execute(
        "INSERT INTO live_unit (organisation, target, unit, actor, reason)"
        " SELECT %s, %s, unit, %s, %s FROM unnest(%s::text[]) AS u (unit) ORDER BY unit"
        " ON CONFLICT (organisation, target, unit) DO NOTHING RETURNING unit",
        (organisation, target, actor, reason, list(units)),
    )
    return sorted(row[0] for row in await cursor.fetchall())


async def units(conn: Connection, organisation: str, target: str) -> list[dict[str, Any]]:
    """Return the units that are live in a target, since when, by whom and why; by primary key."""
    cursor = await conn.execute(
        "SELECT unit, since, actor, reason FROM live_unit WHERE organisation = %s AND target = %s ORDER BY unit",
        (organisation, target),
    )
    return [dict(zip(("unit", "since", "actor", "reason"), row, strict=True)) for row in await cursor.fetchall()]


async def recorded_units(
    conn: Connection, organisation: str, target: str, *, after: str, limit: int
) -> list[dict[str, Any]]:
    """Return recorded units by their ids: how many people's records name each, and since when it is live, if it is."""
    cursor = await conn.execute(
        "SELECT i.subject, i.body::jsonb #>> '{record,name}', (SELECT count(*) FROM unit_member m"
        " WHERE (m.organisation, m.unit) = (i.organisation, i.subject)), l.since, l.actor, l.reason"
        " FROM input i LEFT JOIN live_unit l ON (l.organisation, l.target, l.unit) = (i.organisation, %s, i.subject)"
        " WHERE i.kind = 'effective' AND i.organisation = %s AND i.subject > %s ORDER BY i.subject LIMIT %s",
        (target, organisation, after, limit),
    )
    names = ("unit", "name", "people", "since", "actor", "reason")
    return [dict(zip(names, row, strict=True)) for row in await cursor.fetchall()]


async def concerned(conn: Connection, organisation: str, target: str, units: Sequence[str]) -> int:
    """Count the people whose records name one of these units and none that is live by now."""
    cursor = await conn.execute(
        "SELECT count(*) FROM (SELECT person FROM unit_member WHERE organisation = %(organisation)s"
        " AND unit = ANY(%(units)s) UNION SELECT subject::uuid FROM input WHERE %(every)s AND kind = 'person'"
        " AND organisation = %(organisation)s) p WHERE NOT EXISTS (SELECT FROM live_unit WHERE target = %(target)s"
        " AND organisation = %(organisation)s AND unit = '*') AND NOT EXISTS (SELECT FROM unit_member m"
        " JOIN live_unit l USING (organisation, unit) WHERE m.organisation = %(organisation)s"
        " AND m.person = p.person AND l.target = %(target)s)",
        {"organisation": organisation, "target": target, "units": list(units), "every": EVERY_UNIT in units},
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def unknown_units(conn: Connection, organisation: str, units: Sequence[str]) -> list[str]:
    """Return which of these units have never been recorded; `*` always is."""
    cursor = await conn.execute(
        "SELECT DISTINCT unit FROM unnest(%b::text[]) AS u (unit) WHERE unit <> %s AND NOT EXISTS (SELECT FROM input i"
        " WHERE i.kind = 'effective' AND i.organisation = %s AND i.subject = unit) ORDER BY unit",
        (list(units), EVERY_UNIT, organisation),
    )
    return [row[0] for row in await cursor.fetchall()]
