"""Where somebody is: the main employment decides the place, other employments give memberships. Pure."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from contracts.codes import Protection
from contracts.organisation import EffectiveUnit, Membership, Place
from contracts.person import CoreRecord, Employment
from services.kernel.clock import day_after, local_date, start_of_day

ALARM_DAYS = 3
"""So long before somebody's first day an unknown unit is somebody's business (DOMAIN 49)."""

Stands = Callable[[str], tuple[str, EffectiveUnit] | None]
"""The unit in effect that people of a unit are in, after a merge, and what it is; None: it is in none."""

Comes = Callable[[str], date | None]
"""The first day of a unit that is recorded and is to come."""


@dataclass(frozen=True)
class Missing:
    """A unit that somebody is, or will be, in and that is not in effect; `due`: when that becomes an alarm."""

    unit: str
    due: datetime


@dataclass(frozen=True, order=True)
class Job:
    """A present employment: the unit that its record names, and the unit in effect where that is.

    `hidden`: of somebody with a protected identity.
    """

    employment: UUID
    named: str
    unit: str | None
    main: bool
    hidden: bool = False


@dataclass(frozen=True)
class Placed:
    """Where somebody is now, and when that changes next."""

    place: Place | None = None
    jobs: tuple[Job, ...] = ()
    missing: Missing | None = None
    next_boundary: datetime | None = None

    @property
    def memberships(self) -> tuple[Membership, ...]:
        """Employments beside the main one, and their units."""
        return tuple(
            Membership(employment=job.employment, unit=job.unit)
            for job in self.jobs
            if job.unit is not None and not job.main
        )


def placed(person: UUID, record: CoreRecord, stands: Stands, comes: Comes, now: datetime, zone: ZoneInfo) -> Placed:
    """Return where somebody is; nobody is anywhere before the first day, or for an id that was merged into another.

    Args:
        person: Whose record it is.
        record: The newest one.
        stands: Where people of a unit are.
        comes: When a unit comes.
        now: Business time.
        zone: The organisation's.
    """
    on = local_date(now, zone)
    if record.alias_of is not None or record.deceased or record.erased:
        return Placed()
    boundary = min((at for at in boundaries(record, zone) if at > now), default=None)
    here = tuple(one for one in record.employments if present(one, now, zone))
    main = record.model_copy(update={"employments": here}).main_employment(on)
    missing = _missing(record, main, stands, comes, now, zone)
    if main is None or main.assignment(on) is None:
        return Placed(missing=missing, next_boundary=boundary)
    own = {person, *record.aliases}
    return Placed(
        place=_place(main, on, stands, own),
        jobs=tuple(sorted(_jobs(here, main, on, stands, hidden=record.protection != Protection.NONE))),
        missing=missing,
        next_boundary=boundary,
    )


def present(employment: Employment, now: datetime, zone: ZoneInfo) -> bool:
    """Tell whether somebody is here by an employment at an instant, lingering between two included."""
    if employment.cancelled or now < start_of_day(employment.valid_from, zone):
        return False
    return now < _left(employment, zone)


def works(record: CoreRecord, now: datetime, zone: ZoneInfo) -> bool:
    """Tell whether somebody works here at an instant."""
    return not (record.deceased or record.erased) and any(present(one, now, zone) for one in record.employments)


def boundaries(record: CoreRecord, zone: ZoneInfo) -> Iterator[datetime]:
    """Yield the instants at which somebody's place may change."""
    for employment in record.employments:
        if employment.cancelled:
            continue
        yield start_of_day(employment.valid_from, zone)
        left = _left(employment, zone)
        if left.year < date.max.year:
            yield left
        for assignment in employment.assignments:
            yield start_of_day(assignment.valid_from, zone)


def _left(employment: Employment, zone: ZoneInfo) -> datetime:
    """Return the instant from which the employment gives no place."""
    end = employment.ends_at or day_after(employment.valid_to or date.max, zone)
    return end if employment.lingers_until is None else max(end, employment.lingers_until)


def _missing(
    record: CoreRecord, main: Employment | None, stands: Stands, comes: Comes, now: datetime, zone: ZoneInfo
) -> Missing | None:
    """Return the unit of the present main employment, or of the next one, that is not in effect."""
    on = local_date(now, zone)
    coming = [one for one in record.employments if not one.cancelled and one.valid_from > on]
    one = main or min(coming, key=lambda one: (one.valid_from, -one.extent, one.id.hex), default=None)
    if one is None:
        return None
    first = max(on, one.valid_from)
    assignment = one.assignment(first)
    if assignment is None or stands(assignment.unit) is not None:
        return None
    first_of_unit = comes(assignment.unit)
    if first_of_unit is not None and on < first_of_unit <= first:
        return None  # it comes in time
    return Missing(assignment.unit, start_of_day(one.valid_from - timedelta(days=ALARM_DAYS), zone))


def _place(employment: Employment, on: date, stands: Stands, own: set[UUID]) -> Place | None:
    assignment = employment.assignment(on)
    found = None if assignment is None else stands(assignment.unit)
    if assignment is None or found is None:
        return None
    unit, effective = found
    named = () if assignment.manager is None else (assignment.manager,)
    leaders = (*named, *(leader.person for leader in effective.leaders))
    return Place(
        employment=employment.id,
        unit=unit,
        path=effective.path,
        manager=next((person for person in leaders if person not in own), None),
        cost_centre=assignment.cost_centre or effective.cost_centre,
        site=assignment.site or effective.site,
        mail_domain=effective.mail_domain,
    )


def _jobs(here: Iterable[Employment], main: Employment, on: date, stands: Stands, *, hidden: bool) -> Iterator[Job]:
    for one in here:
        assignment = one.assignment(on)
        if assignment is not None:
            found = stands(assignment.unit)
            yield Job(one.id, assignment.unit, found[0] if found else None, one.id == main.id, hidden)
