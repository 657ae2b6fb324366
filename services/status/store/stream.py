"""Word of changes, by PostgreSQL's own NOTIFY: it is heard after the commit, in every replica, or not at all."""

from collections.abc import Sequence
from uuid import UUID

from services.kernel.database import Connection

CHANNEL = "status_changed"


async def tell(conn: Connection, payloads: Sequence[str]) -> None:
    """Say each payload (at most 8,000 bytes) to all listeners when the transaction commits."""
    await conn.execute("SELECT pg_notify(%s, said) FROM unnest(%b::text[]) AS t (said)", (CHANNEL, list(payloads)))


async def hidden(conn: Connection, organisation: str, persons: Sequence[UUID]) -> set[UUID]:
    """Return those who are protected or not known yet: their protection is not known either."""
    cursor = await conn.execute(
        "SELECT k.person FROM unnest(%b::uuid[]) AS k (person) LEFT JOIN person p"
        " ON p.organisation = %s AND p.person = k.person WHERE p.protection IS DISTINCT FROM 'none'",
        (list(persons), organisation),
    )
    return {row[0] async for row in cursor}
