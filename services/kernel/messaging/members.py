"""Which unit concerns whom: each service that looks at people when a unit changes has a table `unit_member` for it."""

from collections.abc import Sequence
from uuid import UUID

from services.kernel.database import Connection


async def lock(conn: Connection, units: Sequence[tuple[str, str]], *, exclusive: bool) -> None:
    """Order "unit recorded" and "person names the unit", until the transaction ends.

    Without it, each of two concurrent transactions could miss the other's row: the unit's reads the members before
    the person's is there, the person's pass reads the units before the unit's is there, and nobody is woken.
    """
    function = "pg_advisory_xact_lock" if exclusive else "pg_advisory_xact_lock_shared"
    keys = sorted({f"{organisation}/{unit}" for organisation, unit in units})
    await conn.execute(
        f"SELECT {function}(hashtext(current_schema() || '.unit'), key) FROM"
        " (SELECT DISTINCT hashtext(name) AS key FROM unnest(%b::text[]) AS u (name) ORDER BY 1) k",
        (keys,),
    )


async def remember(
    conn: Connection, people: Sequence[tuple[str, UUID]], members: Sequence[tuple[str, str, UUID]]
) -> None:
    """Make `members` (organisation, unit, person) all that the records of `people` name; by unit_member_person."""
    await conn.execute(
        "DELETE FROM unit_member m USING unnest(%b::text[], %b::uuid[]) AS p (organisation, person)"
        " WHERE (m.organisation, m.person) = (p.organisation, p.person) AND NOT EXISTS (SELECT FROM"
        " unnest(%b::text[], %b::text[], %b::uuid[]) AS k (organisation, unit, person)"
        " WHERE (k.organisation, k.unit, k.person) = (m.organisation, m.unit, m.person))",
        ([p[0] for p in people], [p[1] for p in people], *_columns(members)),
    )
    await conn.execute(
        "INSERT INTO unit_member (organisation, unit, person)"
        " SELECT * FROM unnest(%b::text[], %b::text[], %b::uuid[]) ORDER BY 1, 2, 3 ON CONFLICT DO NOTHING",
        _columns(members),
    )


async def of_units(conn: Connection, units: Sequence[tuple[str, str]]) -> list[tuple[str, UUID]]:
    """Return (organisation, person) of all whose record names one of the units; by primary key."""
    cursor = await conn.execute(
        "SELECT DISTINCT m.organisation, m.person FROM unit_member m"
        " JOIN unnest(%b::text[], %b::text[]) AS u (organisation, unit) USING (organisation, unit)",
        ([unit[0] for unit in units], [unit[1] for unit in units]),
    )
    return [(row[0], row[1]) for row in await cursor.fetchall()]


def _columns(members: Sequence[tuple[str, str, UUID]]) -> tuple[list[str], list[str], list[UUID]]:
    return [m[0] for m in members], [m[1] for m in members], [m[2] for m in members]
