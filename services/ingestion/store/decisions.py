"""Operators' decisions about access: who proposed, who approved, and what each led to."""

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from psycopg.rows import class_row

from services.ingestion.domain.access import SOURCE
from services.kernel.database import Connection

SHOWN = 50


@dataclass(frozen=True)
class Decision:
    """One decision. State: proposed, effective, refused or lapsed."""

    id: UUID
    organisation: str
    person: UUID
    action: str
    until: date | None
    state: str
    actor: str
    reason: str
    proposed_at: datetime
    decided_by: str | None = None
    decided_reason: str | None = None
    decided_at: datetime | None = None
    revision: int | None = None
    case_id: UUID | None = None


_COLUMNS = (
    "id, organisation, person, action, until, state, actor, reason, proposed_at, decided_by, decided_reason,"
    " decided_at, revision, case_id"
)


async def lapse(conn: Connection, organisation: str, hours: int) -> None:
    """Let proposals that nobody has decided on in time lapse."""
    await conn.execute(
        "UPDATE access_decision SET state = 'lapsed', decided_at = now() WHERE organisation = %s"
        " AND state = 'proposed' AND proposed_at < now() - make_interval(hours => %s)",
        (organisation, hours),
    )


async def find(conn: Connection, organisation: str, decision: UUID) -> Decision | None:
    """Return a decision, locked until the transaction ends."""
    async with conn.cursor(row_factory=class_row(Decision)) as cursor:
        await cursor.execute(
            f"SELECT {_COLUMNS} FROM access_decision WHERE id = %s AND organisation = %s FOR UPDATE",
            (decision, organisation),
        )
        return await cursor.fetchone()


async def of_person(conn: Connection, organisation: str, person: UUID) -> list[Decision]:
    """Return a person's newest decisions; uses access_decision_person."""
    async with conn.cursor(row_factory=class_row(Decision)) as cursor:
        await cursor.execute(
            f"SELECT {_COLUMNS} FROM access_decision WHERE organisation = %s AND person = %s"
            " ORDER BY proposed_at DESC, id LIMIT %s",
            (organisation, person, SHOWN),
        )
        return await cursor.fetchall()


async def proposed(conn: Connection, organisation: str, *, protected: bool) -> list[Decision]:
    """Return what waits for a second person, oldest first; uses access_decision_proposed."""
    async with conn.cursor(row_factory=class_row(Decision)) as cursor:
        await cursor.execute(
            f"SELECT {_COLUMNS} FROM access_decision d WHERE organisation = %s AND state = 'proposed'"
            " AND (%s OR EXISTS (SELECT FROM person p WHERE p.organisation = d.organisation AND p.id = d.person"
            " AND coalesce(p.core ->> 'protection', 'none') = 'none')) ORDER BY proposed_at, id LIMIT %s",
            (organisation, protected, SHOWN),
        )
        return await cursor.fetchall()


async def add(conn: Connection, decision: Decision) -> bool:
    """Store a new decision; false when its id is taken."""
    cursor = await conn.execute(
        "INSERT INTO access_decision (id, organisation, person, action, until, state, actor, reason, decided_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, CASE WHEN %s THEN now() END) ON CONFLICT DO NOTHING RETURNING id",
        (
            decision.id,
            decision.organisation,
            decision.person,
            decision.action,
            decision.until,
            decision.state,
            decision.actor,
            decision.reason,
            decision.state != "proposed",
        ),
    )
    return await cursor.fetchone() is not None


async def decide(conn: Connection, decision: UUID, state: str, actor: str, reason: str) -> None:
    """Note who decided on a proposal."""
    await conn.execute(
        "UPDATE access_decision SET state = %s, decided_by = %s, decided_reason = %s, decided_at = now() WHERE id = %s",
        (state, actor, reason, decision),
    )


async def led_to(conn: Connection, decision: UUID, revision: int, case_id: UUID) -> None:
    """Note what a decision led to."""
    await conn.execute(
        "UPDATE access_decision SET revision = %s, case_id = %s WHERE id = %s", (revision, case_id, decision)
    )


async def identify(conn: Connection, organisation: str, person: UUID) -> None:
    """Let the source of operators' facts know the person by our own id."""
    await conn.execute(
        "INSERT INTO source_identity (organisation, source, external_id, person) VALUES (%s, %s, %s, %s)"
        " ON CONFLICT DO NOTHING",
        (organisation, SOURCE, str(person), person),
    )
