"""Reading the audit log."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg.rows import class_row

from services.kernel.database import Connection
from services.status.domain.sight import Sight
from services.status.domain.views import AuditItem
from services.status.store.sight import values, visible


@dataclass(frozen=True)
class Wanted:
    """Whose records, narrowed by what is not None."""

    organisation: str
    person: UUID | None
    actor: str | None
    action: str | None


_COLUMNS = "id, recorded_at, actor, action, subject, cardinality(persons) AS persons, reason, parameters"
_OF_PERSON = (
    "(SELECT * FROM audit WHERE organisation = %(organisation)s AND subject = %(person)s::text"
    " UNION SELECT * FROM audit WHERE organisation = %(organisation)s AND persons @> ARRAY[%(person)s::uuid])"
)
"""What names a person, alone (audit_subject) or in a list (audit_persons). One condition with OR would rather read all
records, the newest first, until enough are found: of somebody seldom looked at that is years."""


async def shown_lately(conn: Connection, organisation: str, actor: str, action: str, reason: str | None) -> set[UUID]:
    """Return whom the same act has shown the reader, for the same reason, within the last hour; uses audit_listed."""
    cursor = await conn.execute(
        "SELECT unnest(CASE WHEN subject IS NULL THEN persons ELSE persons || subject::uuid END) FROM audit"
        " WHERE organisation = %s AND recorded_at > now() - interval '1 hour' AND actor = %s AND action = %s"
        " AND reason IS NOT DISTINCT FROM %s AND parameters ->> 'shown' IS DISTINCT FROM 'false'",
        (organisation, actor, action, reason),
    )
    return {row[0] async for row in cursor}


async def names(conn: Connection, organisation: str, persons: Sequence[UUID], *, sight: Sight) -> dict[str, str]:
    """Return the names of those who may be named, by id; uses person's primary key."""
    cursor = await conn.execute(
        "SELECT p.person::text, p.display FROM person p WHERE p.organisation = %(organisation)s"
        f" AND p.person = ANY(%(persons)b::uuid[]) AND {visible(sight, 'p')}",
        {"organisation": organisation, "persons": list(persons), **values(sight)},
    )
    return {row[0]: row[1] async for row in cursor}


async def listed(conn: Connection, wanted: Wanted, before: tuple[datetime, UUID] | None, limit: int) -> list[AuditItem]:
    """Return records, the newest first; not by person it uses audit_actor, audit_action or audit_listed."""
    query = f"SELECT {_COLUMNS} FROM audit WHERE organisation = %(organisation)s"
    if wanted.person is not None:
        query = f"WITH audit AS MATERIALIZED {_OF_PERSON} SELECT {_COLUMNS} FROM audit WHERE true"
    if wanted.actor is not None:
        query += " AND actor = %(actor)s"
    if wanted.action is not None:
        query += " AND action = %(action)s"
    if before is not None:
        query += " AND (recorded_at, id) < (%(at)s, %(id)s)"
    at, last = before or (None, None)
    parameters = {
        "organisation": wanted.organisation,
        "person": wanted.person,
        "actor": wanted.actor,
        "action": wanted.action,
        "at": at,
        "id": last,
        "limit": limit,
    }
    async with conn.cursor(row_factory=class_row(AuditItem)) as cursor:
        await cursor.execute(f"{query} ORDER BY recorded_at DESC, id DESC LIMIT %(limit)s".encode(), parameters)
        return await cursor.fetchall()
