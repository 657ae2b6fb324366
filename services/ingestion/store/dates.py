"""What the dates worker reads: when each record next takes effect, and one locked dossier."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from services.ingestion.domain.dossier import Instant
from services.ingestion.store.ledger import StoredPerson, stored_person
from services.kernel.clock import BUSINESS_NOW
from services.kernel.database import Connection


async def next_boundaries(
    conn: Connection, persons: Sequence[tuple[str, UUID]]
) -> dict[tuple[str, UUID], datetime | None]:
    """Return the next boundary of each person, in one round."""
    cursor = await conn.execute(
        "SELECT k.organisation, k.id, p.next_boundary FROM unnest(%b::text[], %b::uuid[]) AS k (organisation, id)"
        " CROSS JOIN LATERAL"
        " (SELECT next_boundary FROM person WHERE organisation = k.organisation AND id = k.id OFFSET 0) p",
        ([key[0] for key in persons], [key[1] for key in persons]),
    )
    return {(row[0], row[1]): row[2] for row in await cursor.fetchall()}


async def next_plans(conn: Connection, units: Sequence[tuple[str, str]]) -> dict[tuple[str, str], datetime | None]:
    """Return when what is planned for each unit is next reached, in one round."""
    if not units:
        return {}
    cursor = await conn.execute(
        "SELECT u.organisation, u.id, u.next_boundary FROM unnest(%b::text[], %b::text[]) AS k (organisation, id)"
        " JOIN unit u ON u.organisation = k.organisation AND u.id = k.id",
        ([key[0] for key in units], [key[1] for key in units]),
    )
    return {(row[0], row[1]): row[2] for row in await cursor.fetchall()}


async def lock_person(conn: Connection, organisation: str, person: UUID) -> tuple[StoredPerson, Instant] | None:
    """Lock one person and return the dossier with the moment, or None when nobody has that id."""
    cursor = await conn.execute(
        "SELECT organisation, id, generation, revision, state::text, core::text, confidential::text, mentions::text,"
        f" cases::text, announced_until, next_boundary, ties::text, {BUSINESS_NOW}, now()"
        " FROM person WHERE organisation = %s AND id = %s FOR UPDATE",
        (organisation, person),
    )
    row = await cursor.fetchone()
    return None if row is None else (stored_person(row), Instant(business=row[12], recorded=row[13]))
