"""What a fact must not say, beyond its schema: judged on the state it would lead to."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from contracts.codes import Form
from contracts.hr import HrEmployment, HrPersonRecorded
from contracts.hr_changes import HrAbsenceRecorded, HrChange, HrEmploymentStarted
from services.ingestion.domain.facts import Fact
from services.ingestion.domain.projection import Organisation
from services.ingestion.domain.state import EmploymentState, PersonState
from services.kernel.clock import local_date

EARLIEST = date(1900, 1, 1)
"""A start before this is a mistake, and no calendar arithmetic goes below it."""

EARLIEST_ASSERTION = datetime.fromisoformat("1990-01-01T00:00:00+00:00")
AHEAD_OF_CLOCK = timedelta(minutes=5)
"""A source's clock may be this much ahead; a fact asserted in the far future would outrank all later ones."""

TIME_AHEAD = "time is more than five minutes ahead of the clock; is it local time marked Z?"


@dataclass(frozen=True)
class Violation:
    """One thing that is wrong: JSON pointer into the event (RFC 6901), code and reason; values are left out."""

    field: str
    code: str
    reason: str


def time_violations(asserted_at: datetime, now: datetime) -> list[Violation]:
    """Judge the time at which the source says that it asserted the fact."""
    if asserted_at < EARLIEST_ASSERTION:
        return [Violation("/time", "event.time_implausible", "time is before 1990")]
    if asserted_at > now + AHEAD_OF_CLOCK:
        return [Violation("/time", "event.time_in_future", TIME_AHEAD)]
    return []


def date_violations(data: HrPersonRecorded, change: HrChange | None) -> list[Violation]:
    """Judge the dates that a fact carries; the state must not see implausible ones."""
    return [
        Violation(_pointer(pointer, change), "date.implausible", "the date is before 1900")
        for pointer, day in _dates(data)
        if day is not None and day < EARLIEST
    ]


_SINGLE = {
    "/data/employments/0/assignments/0": "/data/assignment",
    "/data/employments/0/assignments": "/data/assignment",
    "/data/employments/0/absences/0": "/data/absence",
    "/data/employments/0": "/data",
    "/data/identifiers/0": "/data/identifier",
}
"""Where a single change carries what a snapshot carries in lists; the first that fits counts."""


def _pointer(pointer: str, change: HrChange | None) -> str:
    """Name the field as the event has it."""
    if change is None:
        return pointer
    if isinstance(change, HrEmploymentStarted):
        return pointer.replace("/data/employments/0", "/data/employment", 1)
    found = next((start for start in _SINGLE if pointer.startswith(start)), None)
    return pointer if found is None else _SINGLE[found] + pointer.removeprefix(found)


@dataclass(frozen=True)
class Place:
    """A person before and after a fact, at its own place among all that was asserted."""

    before: PersonState
    after: PersonState


def violations(there: Place, fact: Fact, organisation: Organisation) -> list[Violation]:
    """Judge the state that the fact would lead to; an empty list lets it in.

    Only employments that the fact names are judged. A *new* one that lacks what every employment has shows as one that
    still lacks it after folding. A single change needs what it changes.
    """
    data, state, found = fact.data, there.after, list[Violation]()
    if not isinstance(data, HrPersonRecorded):
        return []
    if unknown := _unknown(there.before, fact, data):
        return [unknown]
    if state.name is None:
        found.append(Violation("/data/name", "person.name_missing", "a new person needs a name"))
    stated = state.deceased_stated_at
    if state.deceased_on and stated and state.deceased_on > local_date(stated, organisation.zone):
        found.append(
            Violation("/data/deceasedOn", "person.deceased_in_future", "the date is after the fact was asserted")
        )
    for index, said in enumerate(data.employments if data.says("employments") else ()):
        employment = state.employment((fact.source, data.external_id, said.id))
        if employment is None:
            continue
        found += [
            replace(one, field=_pointer(one.field, fact.change))
            for one in _employment(employment, said, f"/data/employments/{index}")
        ]
    return found


def _unknown(before: PersonState, fact: Fact, data: HrPersonRecorded) -> Violation | None:
    """What a single change is about, and what is not there to be changed."""
    change = fact.change
    if change is None or isinstance(change, HrEmploymentStarted):
        return None
    if before.name is None:
        return Violation("/data/externalId", "person.unknown", "there is no such person yet")
    if not data.says("employments"):
        return None
    employment = before.employment((fact.source, data.external_id, data.employments[0].id))
    if employment is None:
        return Violation("/data/employment", "employment.unknown", "there is no such employment yet")
    if isinstance(change, HrAbsenceRecorded) and change.says("moved_from"):
        known = {(one.kind, one.valid_from) for one in employment.absences}
        if (change.absence.kind, change.moved_from) not in known:
            return Violation("/data/movedFrom", "absence.unknown", "there is no such absence from that day")
    return None


def _employment(employment: EmploymentState, said: HrEmployment, pointer: str) -> Iterator[Violation]:
    if employment.form is None:
        yield Violation(f"{pointer}/form", "employment.form_missing", "a new employment needs a form")
    if employment.valid_from is None:
        yield Violation(f"{pointer}/validFrom", "employment.start_missing", "a new employment needs validFrom")
    if not employment.assignments:
        yield Violation(
            f"{pointer}/assignments", "employment.unit_missing", "an employment needs at least one assignment to a unit"
        )
    dated = said.says("valid_from") or said.says("valid_to")
    if dated and employment.valid_from and employment.valid_to and employment.valid_to < employment.valid_from:
        yield Violation(f"{pointer}/validTo", "employment.end_before_start", "validTo is before validFrom")
    if employment.form is Form.CONSULTANT:
        if employment.sponsor is None:
            yield Violation(f"{pointer}/sponsor", "employment.sponsor_missing", "a consultant needs a sponsor")
        if employment.valid_to is None:
            yield Violation(f"{pointer}/validTo", "employment.end_missing", "a consultant needs an end date")
        elif (
            employment.valid_from
            and employment.valid_to > _year_later(employment.valid_from)
            and not _inherited(employment)
        ):
            reason = "a consultant's validTo is within twelve months of validFrom"
            yield Violation(f"{pointer}/validTo", "employment.end_too_late", reason)


def _inherited(employment: EmploymentState) -> bool:
    """The end is as the baseline import brought it: agreed before Stafett; whoever moves it follows the rule."""
    return employment.baseline and employment.end_stated_at == employment.stated_at


def _year_later(day: date) -> date:
    """The calendar rule: 28 February a year after 29 February."""
    if (day.month, day.day) == (2, 29):
        return date(day.year + 1, 2, 28)
    return day.replace(year=min(day.year + 1, date.max.year))


def _dates(data: HrPersonRecorded) -> Iterator[tuple[str, date | None]]:
    yield "/data/birthDate", data.birth_date
    yield "/data/deceasedOn", data.deceased_on
    for index, identifier in enumerate(data.identifiers or ()):
        yield f"/data/identifiers/{index}/validFrom", identifier.valid_from
        yield f"/data/identifiers/{index}/validTo", identifier.valid_to
    for index, employment in enumerate(data.employments or ()):
        pointer = f"/data/employments/{index}"
        yield f"{pointer}/validFrom", employment.valid_from
        yield f"{pointer}/validTo", employment.valid_to
        for name in ("assignments", "absences"):
            for position, span in enumerate(getattr(employment, name) or ()):
                yield f"{pointer}/{name}/{position}/validFrom", span.valid_from
                yield f"{pointer}/{name}/{position}/validTo", span.valid_to
