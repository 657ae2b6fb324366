"""What files of units need to know of the register beside the tree."""

from collections.abc import Sequence

from services.ingestion.store.files import FileImport
from services.kernel.database import Connection


async def of_source(conn: Connection, organisation: str, source: str) -> list[str]:
    """Return the units of which a source has told last, in order; an organisation has some thousand at most."""
    cursor = await conn.execute(
        "SELECT id FROM unit WHERE organisation = %s AND state -> 'last' ->> 'source' = %s ORDER BY id",
        (organisation, source),
    )
    return [row[0] for row in await cursor.fetchall()]


async def moved(conn: Connection, file: FileImport, states: Sequence[str], limit: int) -> list[str]:
    """Return units of which the ledger has learned something since the plan was made."""
    cursor = await conn.execute(
        "SELECT f.external_id FROM file_person f LEFT JOIN unit u ON u.organisation = %s AND u.id = f.external_id"
        " WHERE f.file = %s AND f.state = ANY(%s) AND f.base <> coalesce(u.state -> 'last' ->> 'eventId', '')"
        " ORDER BY f.place LIMIT %s",
        (file.organisation, file.id, list(states), limit),
    )
    return [row[0] for row in await cursor.fetchall()]
