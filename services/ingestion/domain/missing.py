"""Who goes by a file: who is not in a full one and what ends for them, and how many are too many (DESIGN 8)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from contracts.codes import Reason
from contracts.person import CoreRecord
from services.ingestion.domain.dossier import Revision
from services.ingestion.domain.spans import stays
from services.ingestion.domain.state import EmploymentState, PersonState
from services.kernel.clock import start_of_day
from services.kernel.guard import ANNOUNCED_DAYS
from services.kernel.settings import OrganisationSettings

AHEAD = timedelta(days=ANNOUNCED_DAYS)
NAMED = 5
"""Units that a reason names."""

URGENT = frozenset({Reason.DISMISSAL, Reason.DEATH})


def still_open(state: PersonState, source: str, external_id: str, day: date) -> list[EmploymentState]:
    """Return the employments at a source that go on after `day`, or begin after it."""
    return [
        one
        for one in state.employments
        if (one.source, one.person) == (source, external_id)
        and one.cancelled_at is None
        and (one.valid_to is None or one.valid_to > day)
    ]


def departure(external_id: str, employments: list[EmploymentState], day: date) -> dict[str, Any]:
    """Return what a full file of `day` says by leaving somebody out: what has begun ends, what has not is cancelled."""
    ends = [
        {"id": one.id, "cancelled": True}
        if one.valid_from is not None and one.valid_from > day
        else {"id": one.id, "validTo": day.isoformat()}
        for one in employments
    ]
    return {"externalId": external_id, "employments": ends}


def announced(employments: list[EmploymentState], day: date, zone: ZoneInfo) -> bool:
    """Tell whether these ends were stated at least seven days ahead, and are due within seven days."""
    return all(
        one.valid_to is not None
        and one.end_stated_at is not None
        and one.valid_to <= day + AHEAD
        and one.end_stated_at + AHEAD <= start_of_day(one.valid_to, zone) + timedelta(days=1)
        for one in employments
    )


@dataclass(frozen=True)
class Going:
    """How many people a file takes away unannounced, `before` it others did within 24 hours, of how many."""

    taken: int
    before: int
    population: int

    def beyond(self, limit: int, share: float) -> bool:
        """Tell whether these are more than the guard lets go: the limit or the share, whichever is larger."""
        return self.taken > 0 and self.taken + self.before > max(limit, int(self.population * share))


@dataclass(frozen=True)
class AllGoing:
    """The same of the organisation, the source and each unit. `missing`: those whom a full file leaves out."""

    missing: int
    organisation: Going
    source: Going
    units: Mapping[str, Going]


@dataclass(frozen=True)
class Judgement:
    """Who is held, and why: everybody who goes, or those of some units and, perhaps, all who are missing."""

    code: str
    reason: str
    parameters: Mapping[str, str | int]
    units: Sequence[str] | None = None
    missing: bool = False


def judge(going: AllGoing, unread: int, limits: OrganisationSettings, source: str) -> Judgement | None:
    """Say who of a file is held, or None: nobody.

    Args:
        going: Whom the file takes away.
        unread: Rows of which nobody can tell whom they are about.
        limits: The organisation's limits, and what is agreed with the source.
        source: The file's source.
    """
    agreed, taken, population = limits.agreed.get(source), going.source.taken, going.source.population
    limit = limits.guard_limit if agreed is None or agreed.guard_limit is None else agreed.guard_limit
    share = limits.guard_share if agreed is None or agreed.guard_share is None else agreed.guard_share
    if going.source.beyond(limit, share) or going.organisation.beyond(limits.guard_limit, limits.guard_share):
        counts = {"missing": going.missing, "leavers": taken, "population": population}
        if going.missing == taken:
            del counts["leavers"]
            return Judgement("file.missing_many", f"{taken} of {population} are missing", counts)
        return Judgement("file.leavers_many", f"{taken} of {population} leave", counts)
    units = [
        unit
        for unit, one in sorted(going.units.items())
        if one.beyond(limits.guard_unit_limit, limits.guard_unit_share)
    ]
    if going.missing and unread:
        counts = {"missing": going.missing, "population": population, "unread": unread}
        return Judgement("file.missing_unsure", f"{unread} rows tell of nobody", counts, units, missing=True)
    if not units:
        return None
    leavers = sum(going.units[unit].taken for unit in units)
    named = ", ".join(units[:NAMED])
    return Judgement("file.unit_leavers_many", f"{leavers} leave {named}", {"leavers": leavers, "units": named}, units)


def takes(before: CoreRecord | None, revision: Revision, day: date) -> bool:
    """Tell whether a revision lets somebody go who stayed: no longer than seven days, though nobody had said so.

    A dismissal and a death are never delayed.
    """
    if before is None or revision.reason in URGENT or revision.records.core.deceased:
        return False
    return stays(before, day) and not stays(revision.records.core, day)
