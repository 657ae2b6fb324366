"""What others made that has the name of ours, and what of it a person lets us take over."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from services.kernel.database import Connection

EVERY_UNIT = "*"


@dataclass(frozen=True, order=True)
class Candidate:
    """An object of a unit that is not ours yet."""

    unit: str
    kind: str
    entry: str


async def candidates(conn: Connection, organisation: str, target: str, *, limit: int) -> list[dict[str, Any]]:
    """Return candidates by unit, with who approved them, when and why."""
    cursor = await conn.execute(
        "SELECT c.unit, c.kind, c.place, a.actor, a.reason, a.approved_at FROM candidate c LEFT JOIN adoption a"
        " ON (a.organisation, a.target, a.unit, a.kind, a.entry) = (c.organisation, c.target, c.unit, c.kind, c.entry)"
        " WHERE c.organisation = %s AND c.target = %s ORDER BY c.unit, c.kind LIMIT %s",
        (organisation, target, limit),
    )
    names = ("unit", "kind", "place", "approvedBy", "reason", "approvedAt")
    return [dict(zip(names, row, strict=True)) for row in await cursor.fetchall()]


async def open_(conn: Connection, organisation: str, target: str, units: Sequence[str]) -> list[Candidate]:
    """Return candidates of units, `*` for all, that nobody has approved."""
    cursor = await conn.execute(
        "SELECT c.unit, c.kind, c.entry FROM candidate c WHERE c.organisation = %(organisation)s"
        " AND c.target = %(target)s AND (%(every)s OR c.unit = ANY(%(units)s)) AND NOT EXISTS (SELECT FROM adoption a"
        " WHERE (a.organisation, a.target, a.unit, a.kind, a.entry)"
        " = (c.organisation, c.target, c.unit, c.kind, c.entry)) ORDER BY 1, 2 FOR UPDATE",
        {"organisation": organisation, "target": target, "units": list(units), "every": EVERY_UNIT in units},
    )
    return [Candidate(*row) for row in await cursor.fetchall()]


async def approve(
    conn: Connection, organisation: str, target: str, found: Sequence[Candidate], actor: str, reason: str
) -> None:
    """Let these be taken over, as the objects that they are now."""
    await conn.execute(
        "INSERT INTO adoption (organisation, target, unit, kind, entry, actor, reason)"
        " SELECT %s, %s, unit, kind, entry, %s, %s FROM unnest(%b::text[], %b::text[], %b::text[])"
        " AS c (unit, kind, entry) ON CONFLICT (organisation, target, unit, kind) DO UPDATE SET"
        " entry = excluded.entry, actor = excluded.actor, reason = excluded.reason, approved_at = now()",
        (
            organisation,
            target,
            actor,
            reason,
            [one.unit for one in found],
            [one.kind for one in found],
            [one.entry for one in found],
        ),
    )
