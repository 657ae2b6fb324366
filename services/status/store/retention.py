"""What status keeps of its own: who has read and done what, and what became of commands."""

from collections.abc import Mapping

from services.kernel.database import Connection
from services.kernel.retention.classes import AT_ONCE, DataClass, Portion, oldest_of, rows
from services.kernel.settings import OrganisationSettings


def classes(organisations: Mapping[str, OrganisationSettings], audit_days: int, command_days: int) -> list[DataClass]:
    """Return status' data classes, by each organisation's policy, else the installation's; by audit_listed."""
    kept = {key: one.retention for key, one in organisations.items()}
    return [
        rows(
            "read_log",
            {key: one.read_log or audit_days for key, one in kept.items()},
            table="audit",
            key="organisation, id",
            at="recorded_at",
            owned=True,
        ),
        DataClass(
            "commands",
            {key: one.commands or command_days for key, one in kept.items()},
            _forget_commands,
            oldest_of("command", "accepted_at", owned=True),
        ),
    ]


async def _forget_commands(conn: Connection, organisation: str, days: int, after: str) -> Portion:
    """Forget some of an organisation's commands, with what they matched."""
    cursor = await conn.execute(
        "WITH old AS MATERIALIZED (SELECT id FROM command WHERE organisation = %s"
        " AND accepted_at < now() - %s * interval '1 day' ORDER BY accepted_at LIMIT %s),"
        " items AS (DELETE FROM command_item i USING old WHERE i.command = old.id)"
        " DELETE FROM command c USING old WHERE c.id = old.id",
        (organisation, days, AT_ONCE),
    )
    return Portion(cursor.rowcount, after if cursor.rowcount == AT_ONCE else None)
