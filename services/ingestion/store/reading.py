"""Answers to questions: a fact, a person's facts, the record as known at a time. Always within one organisation."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from contracts.codes import Protection
from contracts.person import CoreRecord
from services.kernel.database import Connection


@dataclass(frozen=True)
class FactReceipt:
    """What became of an accepted event."""

    id: UUID
    source: str
    event_id: str
    kind: str
    asserted_at: datetime
    recorded_at: datetime
    person: UUID | None
    unit: str | None
    revision: int | None
    case_id: UUID | None


@dataclass(frozen=True)
class RecordVersion:
    """The record as it was known from `recorded_at` on."""

    revision: int
    generation: int
    recorded_at: datetime
    effective_at: datetime
    case_id: UUID
    kind: str
    reason: str
    core: CoreRecord


@dataclass(frozen=True)
class StoredFact:
    """A fact as it came; `seq` is its place in the order in which we learned."""

    seq: int
    receipt: FactReceipt
    actor: str
    body: dict[str, Any]


_RECEIPT = "id, source, event_id, kind, asserted_at, recorded_at, person, unit, revision, case_id"


async def receipt(conn: Connection, organisation: str, fact: UUID) -> FactReceipt | None:
    """Return what became of a fact; relies on the index fact_id."""
    cursor = await conn.execute(
        f"SELECT {_RECEIPT} FROM fact WHERE id = %s AND organisation = %s", (fact, organisation)
    )
    row = await cursor.fetchone()
    return None if row is None else FactReceipt(*row)


async def protection(conn: Connection, organisation: str, person: UUID) -> Protection | None:
    """Return the protection level that holds now, or None when the organisation has no such person."""
    cursor = await conn.execute(
        "SELECT core ->> 'protection' FROM person WHERE organisation = %s AND id = %s AND core IS NOT NULL",
        (organisation, person),
    )
    row = await cursor.fetchone()
    return None if row is None else Protection(row[0])


async def record_as_known(
    conn: Connection, organisation: str, person: UUID, known_at: datetime | None
) -> RecordVersion | None:
    """Return the newest version that was recorded by `known_at` (null: now); relies on the primary key."""
    cursor = await conn.execute(
        "SELECT revision, generation, recorded_at, effective_at, case_id, kind, reason, core::text FROM person_version"
        " WHERE organisation = %s AND person = %s AND recorded_at <= coalesce(%s::timestamptz, 'infinity')"
        " ORDER BY revision DESC LIMIT 1",
        (organisation, person, known_at),
    )
    row = await cursor.fetchone()
    if row is None:
        return None
    revision, generation, recorded_at, effective_at, case_id, kind, reason, core = row
    record = CoreRecord.model_validate_json(core)
    return RecordVersion(revision, generation, recorded_at, effective_at, case_id, kind, reason, record)


async def facts(conn: Connection, organisation: str, person: UUID, after: int, limit: int) -> list[StoredFact]:
    """Return a page of a person's facts in the order in which we learned them; relies on the index fact_person."""
    cursor = await conn.execute(
        f"SELECT seq, {_RECEIPT}, actor, body FROM fact WHERE organisation = %s AND person = %s AND seq > %s"
        " ORDER BY seq LIMIT %s",
        (organisation, person, after, limit),
    )
    return [StoredFact(row[0], FactReceipt(*row[1:11]), row[11], row[12]) for row in await cursor.fetchall()]
