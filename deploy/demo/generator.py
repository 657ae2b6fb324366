"""What HR says, as CloudEvents for `POST /v1/events`: act one, a municipality as it stands; act two, one HR day.

The same seed and business date give byte-identical events. Everything streams: 50,000 people need no more memory than
one. Ids are readable: `demo-<seed>-<act>-<organisation>-<number>`.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from contracts.registry import HR_PERSON, HR_UNIT
from deploy.demo import dates, hr_day
from deploy.demo.hr_day import Change, DayKind
from deploy.demo.people import Person, Plan, Standing, person
from deploy.demo.units import ALVSUND, Organisation, Unit

Event = dict[str, Any]

_UNITS_TOLD_BEFORE = 60
_STAFF_TOLD_BEFORE = 46
_HIRES_TOLD_BEFORE = 12
"""Days before the business date on which HR said what stands in act one."""


class Kind(StrEnum):
    """What an event is about, in the demo's own words (not Stafett's: it classifies by itself)."""

    UNIT = "unit"
    EMPLOYED = "employed"
    STARTS_LATER = "starts later"
    HAS_LEFT = "has left"
    HIRE = "hire"
    MOVE = "move"
    EXIT = "exit"
    CANCELLED_HIRE = "cancelled hire"
    DISMISSAL = "dismissal"


@dataclass(frozen=True)
class Told:
    """One event, and for which act and row of the demo's table it counts."""

    act: int
    organisation: str
    kind: Kind
    event: Event


_STANDINGS = {
    Standing.EMPLOYED: Kind.EMPLOYED,
    Standing.STARTS_LATER: Kind.STARTS_LATER,
    Standing.HAS_LEFT: Kind.HAS_LEFT,
}
_CHANGES = {
    DayKind.HIRE: Kind.HIRE,
    DayKind.MOVE: Kind.MOVE,
    DayKind.EXIT: Kind.EXIT,
    DayKind.CANCELLED_HIRE: Kind.CANCELLED_HIRE,
    DayKind.DISMISSAL: Kind.DISMISSAL,
}


def act_one(organisation: Organisation, people: int | None = None, *, plan: Plan | None = None) -> Iterator[Told]:
    """Yield an organisation as it stands: its units, parents first, then its people.

    Args:
        organisation: Which one.
        people: How many; by default as many as the organisation has.
        plan: Seed and business date.

    Raises:
        ValueError: There are more people than numbers that are kept free for tests.
    """
    plan = plan or Plan()
    for unit in organisation.units:
        yield Told(1, organisation.key, Kind.UNIT, _unit_event(plan, organisation, unit))
    for number in range(organisation.people if people is None else people):
        told = person(plan, organisation, number)
        yield Told(1, organisation.key, _STANDINGS[told.standing], _person_event(plan, organisation, told))


def act_two(organisation: Organisation = ALVSUND, people: int | None = None, *, plan: Plan | None = None) -> list[Told]:
    """Return one HR day: 25 hires, 40 moves, 30 exits, 5 cancelled hires and a dismissal, as HR came to say them.

    Raises:
        ValueError: The organisation is too small for such a day.
    """
    plan = plan or Plan()
    changes = hr_day.changes(plan, organisation, organisation.people if people is None else people)
    return [
        Told(2, organisation.key, _CHANGES[change.kind], _change_event(plan, organisation, change, number))
        for number, change in enumerate(changes)
    ]


def line(event: Event) -> bytes:
    """Return the event as one line of JSON, without the line end; the same bytes for the same event."""
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()


def _event(organisation: Organisation, id_: str, type_: str, time: datetime, data: dict[str, Any]) -> Event:
    return {
        "specversion": "1.0",
        "id": id_,
        "source": organisation.source,
        "type": type_,
        "subject": data["externalId"],
        "time": time.isoformat(),
        "datacontenttype": "application/json",
        "data": data,
    }


def _unit_event(plan: Plan, organisation: Organisation, unit: Unit) -> Event:
    data = {
        "externalId": unit.id,
        "name": unit.name,
        "parent": unit.parent,
        "manager": organisation.person_id(unit.number),
        "kind": unit.kind,
        "site": organisation.town,
        "costCentre": unit.cost_centre,
        "validFrom": "2015-01-01",
    }
    time = dates.local(plan.day(-_UNITS_TOLD_BEFORE), 5) + timedelta(seconds=unit.number)
    return _event(organisation, f"demo-{plan.seed}-1-{organisation.key}-u{unit.number:03}", HR_UNIT, time, data)


def _person_event(plan: Plan, organisation: Organisation, told: Person) -> Event:
    later = told.standing is Standing.STARTS_LATER
    day = plan.day(-_HIRES_TOLD_BEFORE if later else -_STAFF_TOLD_BEFORE)
    # The seconds of half a day, again and again: time orders the facts of one person only.
    time = dates.local(day, 5) + timedelta(seconds=told.number % 43_200)
    return _event(organisation, f"demo-{plan.seed}-1-{organisation.key}-{told.number:06}", HR_PERSON, time, told.data)


def _change_event(plan: Plan, organisation: Organisation, change: Change, number: int) -> Event:
    time = dates.local(plan.business_date, 9, 30) + timedelta(minutes=3 * number)
    return _event(organisation, f"demo-{plan.seed}-2-{organisation.key}-{number:03}", HR_PERSON, time, change.data)
