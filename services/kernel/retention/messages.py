"""The data classes that every service with messages has: outbox, inbox, dead letters, what the guard has seen."""

from datetime import datetime

from services.kernel.database import Connection
from services.kernel.messaging import outbox
from services.kernel.retention.classes import AT_ONCE, INSTALLATION, DataClass, Portion, oldest_of, rows
from services.kernel.settings import ServiceSettings

GUARD_DAYS = 30
"""The guard counts the last 24 hours; a month shows what it saw when something is asked about."""
LOG_DAYS = 5 * 366
"""As long as the audit, which tells of the same purges."""


def classes(settings: ServiceSettings) -> list[DataClass]:
    """Return the classes of the kernel's tables, by the installation's policy.

    Dead letters go whether somebody has handled them or not, for nobody can look into them; until then an alert tells
    of each. Holds go once they are lapsed: one that is released or refused still decides.
    """
    return [
        DataClass("outbox", {INSTALLATION: settings.outbox_days}, _forget_outbox, _oldest_of_outbox),
        rows(
            "inbox",
            {INSTALLATION: settings.inbox_days},
            table="inbox",
            key="message_id",
            at="received_at",
            audited=False,
        ),
        DataClass(
            "dead_letters",
            {INSTALLATION: settings.dead_letter_days},
            _forget_letters,
            oldest_of("inbox_dead", "received_at", owned=False),
        ),
        rows(
            "guard_removals",
            {INSTALLATION: GUARD_DAYS},
            table="guard_removal",
            key="organisation, target, subject, action",
            at="admitted_at",
            audited=False,
        ),
        rows(
            "guard_holds",
            {INSTALLATION: GUARD_DAYS},
            table="guard_hold",
            key="id",
            at="decided_at",
            settled="state = 'lapsed'",
            audited=False,
        ),
        rows(
            "purge_log",
            {INSTALLATION: LOG_DAYS},
            table="purge_log",
            key="id",
            at="began_at",
            settled="finished_at IS NOT NULL",
            audited=False,
        ),
    ]


async def _forget_outbox(conn: Connection, organisation: str, days: int, after: str) -> Portion:
    """Forget what was confirmed in months that are over for so long."""
    del organisation
    return Portion(*await outbox.forget(conn, days, after, AT_ONCE))


async def _oldest_of_outbox(conn: Connection, organisation: str) -> datetime | None:
    del organisation
    cursor = await conn.execute("SELECT created_at FROM outbox ORDER BY seq LIMIT 1")
    row = await cursor.fetchone()
    return row[0] if row else None


async def _forget_letters(conn: Connection, organisation: str, days: int, after: str) -> Portion:
    """Forget letters, and in `kernel.dead_letter` that there is something to command; by inbox_dead_received."""
    del organisation
    cursor = await conn.execute(
        "WITH expired AS (DELETE FROM inbox_dead WHERE id IN (SELECT id FROM inbox_dead"
        " WHERE received_at < now() - %s * interval '1 day' ORDER BY received_at LIMIT %s FOR UPDATE SKIP LOCKED)"
        " RETURNING id), uncounted AS (DELETE FROM kernel.dead_letter k USING expired WHERE k.id = expired.id)"
        " SELECT count(*) FROM expired",
        (days, AT_ONCE),
    )
    row = await cursor.fetchone()
    count = int(row[0]) if row else 0
    return Portion(count, after if count == AT_ONCE else None)
