"""What a case took before Stafett: the newest word for each kind, and those before it."""

from collections.abc import Sequence

from psycopg.rows import class_row

from services.kernel.database import Connection
from services.status.domain.views import BaselineItem

KEPT = 200
"""How many words of an organisation are shown."""


async def told(conn: Connection, organisation: str) -> Sequence[BaselineItem]:
    """Return what was measured, the newest first; uses the primary key."""
    async with conn.cursor(row_factory=class_row(BaselineItem)) as cursor:
        await cursor.execute(
            "SELECT kind, minutes::float, lead_hours::float, measured_on, cases, note, actor, told_at FROM baseline"
            " WHERE organisation = %s ORDER BY told_at DESC, kind LIMIT %s",
            (organisation, KEPT),
        )
        return await cursor.fetchall()


async def tell(conn: Connection, organisation: str, item: BaselineItem) -> None:
    """Add a word for a kind of case."""
    await conn.execute(
        "INSERT INTO baseline (organisation, kind, minutes, lead_hours, measured_on, cases, note, actor)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
        (
            organisation,
            item.kind,
            item.minutes,
            item.lead_hours,
            item.measured_on,
            item.cases,
            item.note,
            item.actor,
        ),
    )
