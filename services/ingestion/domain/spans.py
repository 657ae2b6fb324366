"""When an employment gives access, and at which instants anything takes effect. Dates become UTC instants here."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from contracts.codes import EndReason, Form
from contracts.person import Absence, Assignment, CoreRecord, Employment
from services.kernel.clock import UTC, day_after, local_date, start_of_day

BRIDGE = timedelta(days=14)
"""A gap up to this long is bridged when the next employment is recorded before the first ends (DOMAIN case 17)."""

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
    starts = start_of_day(employment.valid_from, zone)
    if employment.cancelled:
        return Span(starts, starts)
    ends = day_after(employment.valid_to, zone) if employment.valid_to else FOREVER
    return Span(starts, min(ends, employment.ends_at) if employment.ends_at else ends)


def phase(employment: Employment, at: datetime, zone: ZoneInfo) -> Phase:
    """Tell where the employment stands at `at`."""
    return span(employment, zone).phase(at)


def departs(employment: Employment, record: CoreRecord, zone: ZoneInfo) -> datetime:
    """Return when the affiliation ends: with access, for hourly staff when the pool closes."""
    ends, last = span(employment, zone).ends, employment.valid_to
    pooled = employment.form is Form.HOURLY and employment.ends_at is None and not employment.cancelled
    if pooled and last is not None and _lingers(employment, record):
        return day_after(min(last, date.max - POOL) + POOL, zone)
    return ends


def standing(record: CoreRecord, at: datetime, zone: ZoneInfo) -> Standing:
    """Tell whether the person is affiliated at `at`: employed, in the pool, or in a gap that is bridged."""
    real = [item for item in record.employments if phase(item, at, zone) is not Phase.VOID]
    starts = [span(item, zone).starts for item in real]
    nearest = min((start for start in starts if start > at), default=None)
    for item in real:
        if span(item, zone).starts <= at:
            until = departs(item, record, zone)
            if at < until or (nearest is not None and _lingers(item, record) and bridged(until, nearest, zone)):
                return Standing.HERE
    return Standing.NONE if nearest is None else Standing.AHEAD


def bridged(until: datetime, starts: datetime, zone: ZoneInfo) -> bool:
    """Tell whether the gap between two employments is short enough; in calendar days, so that DST does not matter."""
    return local_date(starts, zone) - local_date(until, zone) <= BRIDGE


def left_at(record: CoreRecord, at: datetime, zone: ZoneInfo) -> datetime:
    """Return when the affiliation that is over at `at` ended; `at` when there was none."""
    real = [item for item in record.employments if phase(item, at, zone) in (Phase.ACTIVE, Phase.ENDED)]
    return max((departs(item, record, zone) for item in real if departs(item, record, zone) <= at), default=at)


def boundaries(record: CoreRecord, zone: ZoneInfo) -> list[datetime]:
    """Return every UTC instant at which something in the record takes effect, in order, each once.

    Starts, ends (the midnight after an inclusive last day, or `ends_at`), the pool's close, and within an employment
    what its assignments and absences change.
    """
    instants: set[datetime] = set()
    for employment in record.employments:
        access = span(employment, zone)
        if access.ends <= access.starts:
            continue
        instants |= {access.starts, access.ends, departs(employment, record, zone)}
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


def _lingers(employment: Employment, record: CoreRecord) -> bool:
    """After a dismissal or a death there is no pool and no bridge, whatever else is recorded."""
    return not record.deceased and employment.end_reason not in (EndReason.DISMISSAL, EndReason.DEATH)
