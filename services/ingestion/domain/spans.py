"""When an employment gives access, and at which instants anything takes effect. Dates become UTC instants here."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from zoneinfo import ZoneInfo

from contracts.codes import Form
from contracts.person import Absence, Assignment, CoreRecord, Employment
from services.kernel.clock import UTC, day_after, local_date, start_of_day
from services.kernel.guard import ANNOUNCED_DAYS

BRIDGE_DAYS: Mapping[Form, int] = {
    Form.PERMANENT: 5,
    Form.FIXED_TERM: 5,
    Form.SUBSTITUTE: 5,
    Form.PROBATION: 5,
    Form.SCHOOL_BREAK: 75,
    Form.SEASONAL: 7,
    Form.HOURLY: 30,
    Form.ELECTED: 30,
    Form.CONSULTANT: 3,
    Form.TRAINEE: 3,
}
"""Days of a gap that is bridged when the next employment was recorded before this one ended (DOMAIN case 17)."""

POOL = timedelta(days=60)
"""An hourly employee stays in the pool this long after the last day worked (DOMAIN case 20)."""

FOREVER = datetime.max.replace(tzinfo=UTC)


class Phase(StrEnum):
    """Where an employment stands at an instant. `void`: cancelled, or ended before it started."""

    VOID = "void"
    FUTURE = "future"
    ACTIVE = "active"
    ENDED = "ended"


class Standing(StrEnum):
    """Where a person stands at an instant: not affiliated, about to be, or affiliated."""

    NONE = "none"
    AHEAD = "ahead"
    HERE = "here"


@dataclass(frozen=True)
class Span:
    """An employment's half-open interval of access, in UTC."""

    starts: datetime
    ends: datetime

    def phase(self, at: datetime) -> Phase:
        """Tell where the employment stands at `at`."""
        if self.ends <= self.starts:
            return Phase.VOID
        if at < self.starts:
            return Phase.FUTURE
        return Phase.ACTIVE if at < self.ends else Phase.ENDED


def span(employment: Employment, zone: ZoneInfo) -> Span:
    """Return when the employment gives access; empty for a cancelled one."""
    return _span(employment.valid_from, employment.valid_to, employment.ends_at, employment.cancelled, zone)


# asked for some fifteen times for each fact, and of few different dates
@lru_cache(maxsize=8192)
def _span(
    first: date,
    last: date | None,
    ends_at: datetime | None,
    cancelled: bool,
    zone: ZoneInfo,
) -> Span:
    starts = start_of_day(first, zone)
    if cancelled:
        return Span(starts, starts)
    ends = day_after(last, zone) if last else FOREVER
    return Span(starts, min(ends, ends_at) if ends_at else ends)


def phase(employment: Employment, at: datetime, zone: ZoneInfo) -> Phase:
    """Tell where the employment stands at `at`."""
    return span(employment, zone).phase(at)


def departs(employment: Employment, zone: ZoneInfo) -> datetime:
    """Return when the affiliation ends: with the employment, or when it has lingered long enough."""
    ends = span(employment, zone).ends
    return max(ends, employment.lingers_until) if employment.lingers_until else ends


def standing(record: CoreRecord, at: datetime, zone: ZoneInfo) -> Standing:
    """Tell whether the person is affiliated at `at`: employed, in the pool, or in a gap that is bridged."""
    real = [item for item in record.employments if phase(item, at, zone) is not Phase.VOID]
    if any(span(item, zone).starts <= at < departs(item, zone) for item in real):
        return Standing.HERE
    return Standing.AHEAD if any(span(item, zone).starts > at for item in real) else Standing.NONE


def gap(ends: datetime, starts: datetime, zone: ZoneInfo) -> int:
    """Return the calendar days from an end to a start, so that DST does not matter; below zero when they overlap."""
    return (local_date(starts, zone) - local_date(ends, zone)).days


def left_at(record: CoreRecord, at: datetime, zone: ZoneInfo) -> datetime:
    """Return when the affiliation that is over at `at` ended; `at` when there was none."""
    real = [item for item in record.employments if phase(item, at, zone) in (Phase.ACTIVE, Phase.ENDED)]
    return max((departs(item, zone) for item in real if departs(item, zone) <= at), default=at)


def stays(record: CoreRecord, day: date) -> bool:
    """Tell whether an employment goes on, or is yet to begin, more than seven days after `day`."""
    last = day + timedelta(days=ANNOUNCED_DAYS)
    return any(
        not item.cancelled and item.ends_at is None and (item.valid_to is None or item.valid_to > last)
        for item in record.employments
    )


def boundaries(record: CoreRecord, zone: ZoneInfo) -> list[datetime]:
    """Return every UTC instant at which something in the record takes effect, in order, each once.

    Starts, ends (the midnight after an inclusive last day, or `ends_at`), `lingers_until`, and within an employment
    what its assignments and absences change.
    """
    instants: set[datetime] = set()
    for employment in record.employments:
        access = span(employment, zone)
        if access.ends <= access.starts:
            continue
        instants |= {access.starts, access.ends, departs(employment, zone)}
        instants |= {at for at in _within(employment, zone) if access.starts < at < access.ends}
    return sorted(instants - {FOREVER})


def next_boundary(record: CoreRecord, after: datetime, zone: ZoneInfo) -> datetime | None:
    """Return the first boundary that lies after `after`."""
    return next((instant for instant in boundaries(record, zone) if instant > after), None)


def last_boundary(record: CoreRecord, after: datetime, until: datetime, zone: ZoneInfo) -> datetime | None:
    """Return the latest boundary in (`after`, `until`]."""
    return max((instant for instant in boundaries(record, zone) if after < instant <= until), default=None)


def _within(employment: Employment, zone: ZoneInfo) -> Iterator[datetime]:
    dated: tuple[Assignment | Absence, ...] = (*employment.assignments, *employment.absences)
    for item in dated:
        yield start_of_day(item.valid_from, zone)
        if item.valid_to is not None and item.valid_to != date.max:
            yield day_after(item.valid_to, zone)
