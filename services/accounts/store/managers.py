"""Managers: the accounts of those who are named, and whom it concerns when one of these changes."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from services.accounts.domain.managers import Leader
from services.kernel.database import Connection

# what is looked for stands behind a fence: a plan that joins by organisation would compare everybody with every change
CONCERNED = (
    "SELECT DISTINCT a.organisation, a.person, a.target FROM due d CROSS JOIN LATERAL"
    " (SELECT organisation, person, target, looks_since FROM account WHERE looks @> ARRAY[d.key] OFFSET 0) a"
    " WHERE a.organisation = d.organisation AND (d.target IS NULL OR a.target = d.target)"
    " AND (NOT d.spread OR a.looks_since >= d.at) ORDER BY 1, 2, 3"
)


async def leaders(
    conn: Connection, target: str, people: Sequence[tuple[str, UUID]]
) -> Mapping[tuple[str, UUID], Leader]:
    """Return those who are named as managers, as a target knows them; one round, by primary keys.

    The protection is the newest record's, whatever has become of it in the target.
    """
    cursor = await conn.execute(
        "SELECT k.organisation, k.person, coalesce((i.body::json #>> '{record,aliasOf}')::uuid, k.person), a.reference,"
        " a.leads, coalesce(i.body::json #>> '{record,protection}', 'none') <> 'none'"
        " FROM unnest(%b::text[], %b::uuid[]) AS k (organisation, person)"
        " LEFT JOIN input i ON i.kind = 'person' AND i.organisation = k.organisation AND i.subject = k.person::text"
        " LEFT JOIN account a ON a.organisation = k.organisation AND a.target = %s"
        " AND a.person = coalesce((i.body::json #>> '{record,aliasOf}')::uuid, k.person)",
        ([one[0] for one in people], [one[1] for one in people], target),
    )
    return {(row[0], row[1]): Leader(*row[2:]) for row in await cursor.fetchall()}


async def tell(conn: Connection, changed: Sequence[tuple[str, str | None, str]]) -> None:
    """Note that something which managers depend on has changed: (organisation, target or None for all, key)."""
    if not changed:
        return
    await conn.execute(
        "INSERT INTO manager_news (organisation, target, key) SELECT * FROM unnest(%b::text[], %b::text[], %b::text[])",
        ([one[0] for one in changed], [one[1] for one in changed], [one[2] for one in changed]),
    )


async def spread(conn: Connection, limit: int, *, again: float) -> int:
    """Find whom noted changes concern, by the index account_looks; return how many changes there were.

    Each is asked for twice, `again` seconds apart, in which every pass that had read what was before must have ended:
    what such a pass depends on may be stored after the first time, and the second finds those alone.
    """
    cursor = await conn.execute(
        "WITH due AS (SELECT * FROM manager_news WHERE due_at <= clock_timestamp() ORDER BY due_at, id LIMIT %(limit)s"
        " FOR UPDATE SKIP LOCKED),"
        f" concerned AS (INSERT INTO manager_look (organisation, person, target) {CONCERNED}"
        " ON CONFLICT (organisation, person, target) DO UPDATE SET at = least(manager_look.at, excluded.at)),"
        " once AS (UPDATE manager_news n SET spread = true,"
        " due_at = clock_timestamp() + %(again)s * interval '1 second' FROM due d WHERE n.id = d.id AND NOT d.spread),"
        " twice AS (DELETE FROM manager_news n USING due d WHERE n.id = d.id AND d.spread)"
        " SELECT count(*) FROM due",
        {"limit": limit, "again": again},
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def look_later(conn: Connection, people: Sequence[tuple[str, UUID, str]], seconds: float) -> None:
    """Have (organisation, person, target) looked at after a while."""
    if people:
        await conn.execute(
            "INSERT INTO manager_look (organisation, person, target, at) SELECT k.organisation, k.person, k.target,"
            " clock_timestamp() + %s * interval '1 second' FROM unnest(%b::text[], %b::uuid[], %b::text[])"
            " AS k (organisation, person, target) ORDER BY 1, 2, 3 ON CONFLICT DO NOTHING",
            (seconds, [one[0] for one in people], [one[1] for one in people], [one[2] for one in people]),
        )


async def take(conn: Connection, limit: int) -> list[tuple[str, UUID, str]]:
    """Take (organisation, person, target) of those to look at, the oldest first; others may take beside."""
    cursor = await conn.execute(
        "DELETE FROM manager_look WHERE (organisation, person, target) IN (SELECT organisation, person, target"
        " FROM manager_look WHERE at <= clock_timestamp() ORDER BY at LIMIT %s FOR UPDATE SKIP LOCKED)"
        " RETURNING organisation, person, target",
        (limit,),
    )
    return [(row[0], row[1], row[2]) for row in await cursor.fetchall()]
