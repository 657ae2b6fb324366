"""Who answers for what: one service at one target is an evaluator of an organisation's people (DESIGN 2.6)."""

from collections.abc import Sequence

from services.kernel.database import Connection


async def register(conn: Connection, service: str, organisations: Sequence[str], target: str) -> list[str]:
    """Say that we answer for the target, and whether it is paused; a row that is there keeps its date.

    Returns:
        The organisations for which the target is new.

    The first evaluator of an organisation answers for all that was accepted before it, or such cases would never
    close; a later one from now on, or it would open closed cases again.
    """
    cursor = await conn.execute(
        "INSERT INTO kernel.evaluator (organisation, service, target, since, paused_at)"
        " SELECT organisation, %(service)s, %(target)s, CASE WHEN EXISTS (SELECT FROM kernel.evaluator e"
        " WHERE e.organisation = o.organisation) THEN now() ELSE timestamptz '1970-01-01 00:00:00+00' END,"
        " (SELECT paused_at FROM breaker b WHERE b.target = %(target)s)"
        " FROM unnest(%(organisations)b::text[]) AS o (organisation) ORDER BY 1"
        " ON CONFLICT (organisation, service, target) DO UPDATE SET paused_at = excluded.paused_at"
        " RETURNING organisation, xmax = 0",
        {"service": service, "target": target, "organisations": list(organisations)},
    )
    return [row[0] for row in await cursor.fetchall() if row[1]]


async def retire(conn: Connection, service: str, configured: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Answer no longer for what is not configured any more, or the cases that wait for it would never close.

    Returns:
        (organisation, target) of each. What stands there is left as it is.
    """
    cursor = await conn.execute(
        "DELETE FROM kernel.evaluator WHERE service = %s AND NOT EXISTS (SELECT FROM"
        " unnest(%b::text[], %b::text[]) AS c (organisation, target)"
        " WHERE (c.organisation, c.target) = (evaluator.organisation, evaluator.target))"
        " RETURNING organisation, target",
        (service, [one[0] for one in configured], [one[1] for one in configured]),
    )
    return [(row[0], row[1]) for row in await cursor.fetchall()]


async def rules_changed(conn: Connection, target: str, digest: str) -> bool:
    """Remember the rules of a target, and tell whether others held when the service last started."""
    cursor = await conn.execute(
        "INSERT INTO target_rules AS r (target, digest) VALUES (%s, %s) ON CONFLICT (target) DO UPDATE"
        " SET digest = excluded.digest WHERE r.digest <> excluded.digest RETURNING xmax <> 0",
        (target, digest),
    )
    row = await cursor.fetchone()
    return row is not None and bool(row[0])
