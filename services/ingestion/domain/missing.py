"""Who stands in the register and not in a full file: what ends for them, and how many are too many (DESIGN 8)."""

from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from services.ingestion.domain.state import EmploymentState, PersonState
from services.kernel.clock import start_of_day
from services.kernel.guard import ANNOUNCED_DAYS

AHEAD = timedelta(days=ANNOUNCED_DAYS)


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


def too_many(missing: int, population: int, limit: int, share: float) -> bool:
    """Tell whether more people are missing than the guard lets go: the limit or the share, whichever is larger."""
    return missing > max(limit, int(population * share))
