"""Erasing a person: what stands against it, and what HR's word means afterwards."""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from uuid import uuid4
from zoneinfo import ZoneInfo

from contracts.codes import CaseKind, Lane, Reason
from contracts.hr import HrPersonRecorded, stated_end
from contracts.person import ERASED, ConfidentialRecord, CoreRecord
from services.ingestion.domain.dossier import Dossier, Instant, Revision
from services.ingestion.domain.identity import Ties
from services.ingestion.domain.projection import Records
from services.ingestion.domain.spans import FOREVER, Phase, Standing, departs, phase, standing
from services.ingestion.domain.state import PersonState
from services.kernel.clock import day_after, local_date

EMPTY = Records(ERASED, ConfidentialRecord())
"""Both sections of whatever is told, and was told, of an erased person."""


@dataclass(frozen=True)
class Hindrance:
    """Why a person cannot be erased now: a code, and from which day on it is over when that is known."""

    code: str
    until: date | None = None


def left(record: CoreRecord, told: datetime, zone: ZoneInfo) -> datetime:
    """Return when the last thing that kept a person here ended; of who never was here when it was told last."""
    real = [one for one in record.employments if phase(one, told, zone) is not Phase.VOID]
    ends = [departs(one, zone) for one in real]
    if record.access is not None and record.access.kept_until is not None:
        ends.append(day_after(record.access.kept_until, zone))
    return max(ends, default=told)


def hindrances(dossier: Dossier, told: datetime, now: datetime, zone: ZoneInfo, days: int) -> list[Hindrance]:
    """Return what stands against erasing a person, by the record and by what binds the id to others.

    Args:
        dossier: The person's, with a record.
        told: When the newest revision was recorded.
        now: Business time.
        zone: The organisation's.
        days: How long a person has to have left.
    """
    assert dossier.records is not None  # noqa: S101 - the caller has looked
    ties, record = dossier.ties, dossier.records.core
    found = []
    if ties.alias_of is not None:
        found.append(Hindrance("erasure.alias"))
    if ties.aliases:
        found.append(Hindrance("erasure.has_aliases"))
    if ties.held_by is not None:
        found.append(Hindrance("erasure.open_case"))
    at = left(record, told, zone)
    if standing(record, now, zone) is Standing.AHEAD:
        found.append(Hindrance("erasure.coming"))
    elif at > now:
        found.append(Hindrance("erasure.active", None if at >= FOREVER else local_date(at, zone)))
    elif local_date(now, zone) < (free := local_date(at, zone) + timedelta(days=days)):
        found.append(Hindrance("erasure.too_early", free))
    return found


def erased(dossier: Dossier, at: Instant) -> tuple[Dossier, Revision]:
    """Return the dossier of an erased person, and the revision that says so: a case of its own, that can be followed.

    The reason is the kind of a change, not of a leaver: nothing of the figures of those is to be moved by it.
    """
    revision = Revision(
        person=dossier.person,
        generation=dossier.generation,
        number=dossier.revision + 1,
        case_id=uuid4(),
        kind=CaseKind.MOVER,
        reason=Reason.ERASED,
        effective_at=at.business,
        accepted_at=at.recorded,
        recorded_at=at.recorded,
        lane=Lane.BULK,
        baseline=False,
        guard_released=False,
        records=EMPTY,
        event_id=uuid4(),
        confidential_event_id=uuid4(),
    )
    return replace(
        dossier,
        revision=revision.number,
        state=PersonState(),
        records=EMPTY,
        cases=(),
        announced_until=at.business,
        ties=Ties(erased_at=at.business, remapped_at=at.recorded),
    ), revision


def comes_back(data: object, since: date) -> bool:
    """Tell whether HR's word about an erased id is of somebody who is employed now, or will be.

    Most systems go on listing who has left for years, and correct what is over: that is no reason to know the person
    again. Whoever is told of with an employment that has not ended by `since` is taken in, as somebody new.
    """
    if not isinstance(data, HrPersonRecorded) or not data.says("employments"):
        return False
    for said in data.employments:
        ends = stated_end(said.valid_to) if said.says("valid_to") else None
        begins = said.says("valid_from") and said.valid_from is not None
        if begins and not (said.says("cancelled") and said.cancelled) and (ends is None or ends >= since):
            return True
    return False
