"""Every version that was told, with the ids it was told under: replays and the record as known then come from here."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from contracts.codes import CaseKind, Lane, Reason
from contracts.person import ConfidentialRecord, CoreRecord, UnitRecord
from services.ingestion.domain.dossier import Revision
from services.ingestion.domain.projection import Records
from services.ingestion.domain.units import UnitRevision
from services.kernel.database import Connection

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
    revisions = [item.revision for item in told]
    await conn.execute(
        "INSERT INTO person_version (organisation, person, revision, generation, recorded_at, effective_at,"
        " accepted_at, case_id, kind, reason, lane, baseline, event_id, confidential_event_id, traceparent, core,"
        " confidential) SELECT organisation, person, revision, generation, recorded_at, effective_at, accepted_at,"
        " case_id, kind, reason, lane, baseline, event_id, confidential_event_id, traceparent, core::jsonb,"
        " confidential::jsonb FROM unnest(%b::text[], %b::uuid[], %b::int[], %b::int[], %b::timestamptz[],"
        " %b::timestamptz[], %b::timestamptz[], %b::uuid[], %b::text[], %b::text[], %b::text[], %b::boolean[],"
        " %b::uuid[], %b::uuid[], %b::text[], %b::text[], %b::text[]) AS n (organisation, person, revision,"
        " generation, recorded_at, effective_at, accepted_at, case_id, kind, reason, lane, baseline, event_id,"
        " confidential_event_id, traceparent, core, confidential)",
        (
            [item.organisation for item in told],
            [revision.person for revision in revisions],
            [revision.number for revision in revisions],
            [revision.generation for revision in revisions],
            [revision.recorded_at for revision in revisions],
            [revision.effective_at for revision in revisions],
            [revision.accepted_at for revision in revisions],
            [revision.case_id for revision in revisions],
            [revision.kind.value for revision in revisions],
            [revision.reason.value for revision in revisions],
            [revision.lane.value for revision in revisions],
            [revision.baseline for revision in revisions],
            [revision.event_id for revision in revisions],
            [revision.confidential_event_id for revision in revisions],
            [item.traceparent for item in told],
            [revision.records.core_json for revision in revisions],
            [revision.records.confidential_json for revision in revisions],
        ),
    )


async def write_unit_versions(conn: Connection, told: Sequence[UnitTold]) -> None:
    """Add versions of units, under the lock of their tree."""
    await conn.execute(
        "INSERT INTO unit_version (organisation, unit, revision, generation, tree_revision, recorded_at, event_id,"
        " traceparent, record) SELECT organisation, unit, revision, generation, tree_revision, recorded_at, event_id,"
        " traceparent, record::jsonb FROM unnest(%b::text[], %b::text[], %b::int[], %b::int[], %b::int[],"
        " %b::timestamptz[], %b::uuid[], %b::text[], %b::text[]) AS n (organisation, unit, revision, generation,"
        " tree_revision, recorded_at, event_id, traceparent, record)",
        (
            [item.organisation for item in told],
            [item.revision.unit for item in told],
            [item.revision.number for item in told],
            [item.generation for item in told],
            [item.tree_revision for item in told],
            [item.recorded_at for item in told],
            [item.revision.event_id for item in told],
            [item.traceparent for item in told],
            [item.revision.record.model_dump_json(by_alias=True) for item in told],
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
            " v.traceparent, v.core::text, v.confidential::text FROM person_version v"
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
    baseline, event_id, confidential_event_id, traceparent, core, confidential = row[12:18]
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
        records=Records(
            CoreRecord.model_validate_json(str(core)), ConfidentialRecord.model_validate_json(str(confidential))
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
                revision=UnitRevision(row[2], row[3], UnitRecord.model_validate_json(row[9]), row[7]),
                tree_revision=row[5],
                recorded_at=row[6],
                traceparent=row[8],
            )
            for row in rows
        ]
