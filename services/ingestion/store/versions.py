"""Every version that was told, with the ids it was told under: replays and the record as known then come from here."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import orjson

from contracts.codes import CaseKind, Lane, Reason
from contracts.person import ConfidentialRecord, CoreRecord, UnitRecord
from services.ingestion.domain.dossier import Revision
from services.ingestion.domain.projection import Records
from services.ingestion.domain.units import UnitRevision
from services.kernel.database import Connection, recordset

PAGE = 200


@dataclass(frozen=True)
class Told:
    """A revision of a person with the organisation and the trace that it belongs to."""

    organisation: str
    revision: Revision
    traceparent: str | None


@dataclass(frozen=True)
class UnitTold:
    """A revision of a unit, with its place in the organisation's tree."""

    organisation: str
    generation: int
    revision: UnitRevision
    tree_revision: int
    recorded_at: datetime
    traceparent: str | None


async def write_versions(conn: Connection, told: Sequence[Told]) -> None:
    """Add versions of persons that this transaction has locked: revisions have no gaps."""
    await conn.execute(
        "INSERT INTO person_version (organisation, person, revision, generation, recorded_at, effective_at,"
        " accepted_at, case_id, kind, reason, lane, baseline, guard_released, event_id, confidential_event_id,"
        " traceparent, core, confidential) SELECT * FROM json_to_recordset(%s::json) AS n"
        " (organisation text, person uuid, revision int, generation int, recorded_at timestamptz,"
        " effective_at timestamptz, accepted_at timestamptz, case_id uuid,"
        " kind text, reason text, lane text, baseline boolean, guard_released boolean, event_id uuid,"
        " confidential_event_id uuid, traceparent text, core jsonb, confidential jsonb)",
        (recordset(map(_version, told)),),
    )


def _version(told: Told) -> dict[str, object]:
    revision = told.revision
    return {
        "organisation": told.organisation,
        "person": revision.person,
        "revision": revision.number,
        "generation": revision.generation,
        "recorded_at": revision.recorded_at,
        "effective_at": revision.effective_at,
        "accepted_at": revision.accepted_at,
        "case_id": revision.case_id,
        "kind": revision.kind,
        "reason": revision.reason,
        "lane": revision.lane,
        "baseline": revision.baseline,
        "guard_released": revision.guard_released,
        "event_id": revision.event_id,
        "confidential_event_id": revision.confidential_event_id,
        "traceparent": told.traceparent,
        "core": orjson.Fragment(revision.records.core_json),
        "confidential": orjson.Fragment(revision.records.confidential_json),
    }


async def write_unit_versions(conn: Connection, told: Sequence[UnitTold]) -> None:
    """Add versions of units, under the lock of their tree."""
    await conn.execute(
        "INSERT INTO unit_version (organisation, unit, revision, generation, tree_revision, recorded_at, event_id,"
        " traceparent, record) SELECT * FROM json_to_recordset(%s::json) AS n (organisation text, unit text,"
        " revision int, generation int, tree_revision int, recorded_at timestamptz, event_id uuid, traceparent text,"
        " record jsonb)",
        (
            recordset(
                {
                    "organisation": item.organisation,
                    "unit": item.revision.unit,
                    "revision": item.revision.number,
                    "generation": item.generation,
                    "tree_revision": item.tree_revision,
                    "recorded_at": item.recorded_at,
                    "event_id": item.revision.event_id,
                    "traceparent": item.traceparent,
                    "record": orjson.Fragment(item.revision.record.model_dump_json(by_alias=True)),
                }
                for item in told
            ),
        ),
    )


_NEWEST_PERSON = " JOIN person p ON p.organisation = v.organisation AND p.id = v.person AND p.revision = v.revision"
_NEWEST_UNIT = " JOIN unit u ON u.organisation = v.organisation AND u.id = v.unit AND u.revision = v.revision"
URGENT = (
    " JOIN (SELECT DISTINCT organisation, person FROM person_version WHERE lane = 'express'"
    " AND recorded_at > now() - interval '1 day') u ON u.organisation = v.organisation AND u.person = v.person"
)
"""People of whom something urgent was told in the last day; uses person_version_urgent."""


async def persons_told(conn: Connection, *, everything: bool, urgent_only: bool = False) -> AsyncIterator[list[Told]]:
    """Yield pages of versions, oldest first: the newest of each person, or all; relies on person_version_seq.

    `urgent_only`: only of people of whom something urgent was told in the last day, whatever was told since.
    """
    narrowed = ("" if everything else _NEWEST_PERSON) + (URGENT if urgent_only else "")
    after = 0
    while True:
        cursor = await conn.execute(
            "SELECT v.seq, v.organisation, v.person, v.revision, v.generation, v.recorded_at, v.effective_at,"
            " v.accepted_at, v.case_id, v.kind, v.reason, v.lane, v.baseline, v.event_id, v.confidential_event_id,"
            " v.traceparent, v.core::text, v.confidential::text, v.guard_released FROM person_version v"
            f"{narrowed} WHERE v.seq > %s ORDER BY v.seq LIMIT %s",
            (after, PAGE),
        )
        rows = await cursor.fetchall()
        if not rows:
            return
        after = rows[-1][0]
        yield [_told(row) for row in rows]


def _told(row: Sequence[object]) -> Told:
    (_, organisation, person, number, generation, recorded, effective, accepted, case, kind, reason, lane) = row[:12]
    baseline, event_id, confidential_event_id, traceparent, core, confidential, guard_released = row[12:19]
    revision = Revision(
        person=_uuid(person),
        generation=_int(generation),
        number=_int(number),
        case_id=_uuid(case),
        kind=CaseKind(str(kind)),
        reason=Reason(str(reason)),
        effective_at=_instant(effective),
        accepted_at=_instant(accepted),
        recorded_at=_instant(recorded),
        lane=Lane(str(lane)),
        baseline=bool(baseline),
        guard_released=bool(guard_released),
        records=Records(
            CoreRecord.model_validate_json(str(core), extra="ignore"),
            ConfidentialRecord.model_validate_json(str(confidential), extra="ignore"),
        ),
        event_id=_uuid(event_id),
        confidential_event_id=_uuid(confidential_event_id),
    )
    return Told(str(organisation), revision, None if traceparent is None else str(traceparent))


def _uuid(value: object) -> UUID:
    return value if isinstance(value, UUID) else UUID(str(value))


def _int(value: object) -> int:
    return value if isinstance(value, int) else int(str(value))


def _instant(value: object) -> datetime:
    return value if isinstance(value, datetime) else datetime.fromisoformat(str(value))


async def units_told(conn: Connection, *, everything: bool) -> AsyncIterator[list[UnitTold]]:
    """Yield pages of unit versions, oldest first: the newest of each unit, or all."""
    after = 0
    while True:
        cursor = await conn.execute(
            "SELECT v.seq, v.organisation, v.unit, v.revision, v.generation, v.tree_revision, v.recorded_at,"
            " v.event_id, v.traceparent, v.record::text FROM unit_version v"
            f"{'' if everything else _NEWEST_UNIT} WHERE v.seq > %s ORDER BY v.seq LIMIT %s",
            (after, PAGE),
        )
        rows = await cursor.fetchall()
        if not rows:
            return
        after = rows[-1][0]
        yield [
            UnitTold(
                organisation=row[1],
                generation=row[4],
                revision=UnitRevision(row[2], row[3], UnitRecord.model_validate_json(row[9], extra="ignore"), row[7]),
                tree_revision=row[5],
                recorded_at=row[6],
                traceparent=row[8],
            )
            for row in rows
        ]
