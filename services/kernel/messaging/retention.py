"""What messaging keeps and for how long: outbox partitions, inbox ids, dead letters."""

import asyncio

from services.kernel import telemetry
from services.kernel.database import TRANSIENT, Connection, Database
from services.kernel.messaging import outbox

log = telemetry.get_logger(__name__)

INBOX_DAYS = 30
OUTBOX_MONTHS = 13
LOOK_SECONDS = 3600.0


async def purge(conn: Connection) -> None:
    """Forget inbox ids after 30 days (state is versioned, a later duplicate is superseded) and expired dead letters."""
    await conn.execute("DELETE FROM inbox WHERE received_at < now() - %s * interval '1 day'", (INBOX_DAYS,))
    await conn.execute(
        "WITH expired AS (DELETE FROM inbox_dead WHERE expires_at < now() RETURNING id)"
        " DELETE FROM kernel.dead_letter k USING expired WHERE k.id = expired.id"
    )


async def run(database: Database) -> None:
    """Keep house until cancelled."""
    while True:
        try:
            await database.wait()
            async with database.transaction() as conn:
                await outbox.ensure_partitions(conn)
                await purge(conn)
                await outbox.drop_partitions(conn, OUTBOX_MONTHS)
        except TRANSIENT as error:
            log.warning("retention.interrupted", cause=type(error).__name__)
        await asyncio.sleep(LOOK_SECONDS)
