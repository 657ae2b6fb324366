"""Forgetting what has been kept long enough, a few thousand rows at a time."""

from services.kernel.database import Connection

AT_ONCE = 5_000
"""So that no statement runs long, however much there is to forget the first time."""


async def forget_audit(conn: Connection, organisation: str, days: int) -> int:
    """Delete some of an organisation's audit records that are older; return how many. Uses audit_listed."""
    cursor = await conn.execute(
        "DELETE FROM audit WHERE (organisation, id) IN (SELECT organisation, id FROM audit WHERE organisation = %s"
        " AND recorded_at < now() - %s * interval '1 day' ORDER BY recorded_at LIMIT %s)",
        (organisation, days, AT_ONCE),
    )
    return cursor.rowcount


async def forget_commands(conn: Connection, organisation: str, days: int) -> int:
    """Delete some of an organisation's commands that are older, with what they matched; return how many."""
    cursor = await conn.execute(
        "WITH old AS MATERIALIZED (SELECT id FROM command WHERE organisation = %s"
        " AND accepted_at < now() - %s * interval '1 day' ORDER BY accepted_at LIMIT %s),"
        " items AS (DELETE FROM command_item i USING old WHERE i.command = old.id)"
        " DELETE FROM command c USING old WHERE c.id = old.id",
        (organisation, days, AT_ONCE),
    )
    return cursor.rowcount
