"""One person of an organisation, drawn from the seed and a number alone: no person depends on another one's draw.

The first people manage the units. The rest are spread over all forms of employment; most have been there for long
(`baseline`), some have left, some start later. Dates are counted from the business date.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from random import Random
from typing import Any

from deploy.demo import identity, names
from deploy.demo.dates import BUSINESS_DATE
from deploy.demo.units import TITLES, Organisation, Unit

Data = dict[str, Any]


class Standing(StrEnum):
    """Where a person stands on the business date."""

    EMPLOYED = "employed"
    STARTS_LATER = "starts later"
    HAS_LEFT = "has left"


@dataclass(frozen=True)
class Plan:
    """The dates around which everybody is drawn."""

    seed: int = 1
    business_date: date = BUSINESS_DATE

    def day(self, offset: int) -> date:
        """Return the date so many days from the business date."""
        return self.business_date + timedelta(days=offset)

    def random(self, *key: object) -> Random:
        """Return a generator of its own for whatever the key names; the same for ever."""
        return Random("/".join(map(str, (self.seed, *key))))  # noqa: S311 - reproducible, and no secret


@dataclass(frozen=True)
class Person:
    """A person as HR's first snapshot says it: the data of an `hr.person.recorded` event."""

    number: int
    standing: Standing
    data: Data

    @property
    def id(self) -> str:
        """The id at the source."""
        return str(self.data["externalId"])

    @property
    def employments(self) -> list[Data]:
        """All employments."""
        return list(self.data["employments"])

    @property
    def plain(self) -> bool:
        """One permanent full-time employment and nothing else: what a change of the HR day can be made to."""
        only = self.employments[0]
        return (
            self.standing is Standing.EMPLOYED
            and len(self.employments) == 1
            and only["form"] == "permanent"
            and only["validTo"] is None
            and "absences" not in only
            and self.data.get("protection", "none") == "none"
        )


_NOW_FORMS = {
    "permanent": 60,
    "fixed_term": 8,
    "substitute": 6,
    "hourly": 7,
    "probation": 4,
    "school_break": 4,
    "elected": 4,
    "consultant": 3,
    "trainee": 2,
    "seasonal": 2,
}
_LATER_FORMS = {"permanent": 35, "fixed_term": 15, "substitute": 15, "seasonal": 20, "probation": 10, "trainee": 5}
_PAST_FORMS = {"permanent": 40, "fixed_term": 20, "substitute": 20, "seasonal": 10, "consultant": 10}

# Somebody who works in both organisations is one human with a record, and an account, in each.
_ALSO_ELSEWHERE = {("bergby", 39): 77}


def person(plan: Plan, organisation: Organisation, number: int, standing: Standing | None = None) -> Person:
    """Draw the person so numbered.

    Args:
        plan: Seed and business date.
        organisation: Who employs the person.
        number: From 0; below the number of units it is a manager.
        standing: Draw it too, unless it is given.
    """
    rng = plan.random(organisation.key, number)
    units = organisation.units
    if number < len(units):
        stands, unit = Standing.EMPLOYED, units[number]
        employments = [_manager(plan, rng, organisation, unit)]
    else:
        stands = standing or _standing(rng)
        unit = rng.choices(units, organisation.unit_weights)[0]
        employments = list(_employments(plan, rng, organisation, number, unit, stands))
    data = {**_human(plan, organisation, number), "employments": employments}
    if stands is not Standing.STARTS_LATER and employments[0]["validFrom"] < plan.day(-60).isoformat():
        data["baseline"] = True
    return Person(number, stands, data)


def _standing(rng: Random) -> Standing:
    drawn = rng.random()
    return Standing.STARTS_LATER if drawn < 0.06 else Standing.HAS_LEFT if drawn < 0.1 else Standing.EMPLOYED


def _human(plan: Plan, organisation: Organisation, number: int) -> Data:
    """Name, birth, numbers and private contact: of the human, whoever employs them."""
    human = _ALSO_ELSEWHERE.get((organisation.key, number), organisation.first + number)
    rng = plan.random("human", human)
    name = names.NAMESAKE if human % 250 == 111 else names.draw(rng)
    kind = rng.choices(("personnummer", "samordningsnummer", "interim", ""), (965, 15, 8, 12))[0]
    street = rng.choice(("Storgatan", "Ängsvägen", "Åsgatan", "Björkstigen", "Hamngatan", "Östra Ågatan"))
    data: Data = {
        "externalId": organisation.person_id(number),
        "name": name.data(),
        "birthDate": identity.birth(human)[0].isoformat(),
        "identifiers": [identity.identifier(kind, human)] if kind else [],
        "privateContact": {
            "mail": f"privat{human}@example.net",
            "phone": identity.mobile(human),
            "address": f"{street} {rng.randint(1, 90)}, 999 99 {organisation.town}",
        },
    }
    if human % 1000 == 500:
        data["protection"] = "protected"
        data["privateContact"] = None
    return data


def _manager(plan: Plan, rng: Random, organisation: Organisation, unit: Unit) -> Data:
    start = plan.day(-rng.randint(400, 5000))
    return _employment(rng, organisation, unit.number, unit, "1", "permanent", start, title=unit.head)


def _employments(
    plan: Plan, rng: Random, organisation: Organisation, number: int, unit: Unit, standing: Standing
) -> Iterator[Data]:
    forms = {
        Standing.EMPLOYED: _NOW_FORMS,
        Standing.STARTS_LATER: _LATER_FORMS,
        Standing.HAS_LEFT: _PAST_FORMS,
    }[standing]
    form = rng.choices(list(forms), list(forms.values()))[0]
    if form == "hourly":
        yield from _pool(plan, rng, organisation, number, unit)
        return
    start, end = _span(plan, rng, form, standing)
    first = _employment(rng, organisation, number, unit, "1", form, start, end=end)
    others: list[Data] = []
    if standing is Standing.EMPLOYED:
        if rng.random() < 0.1 and form != "consultant":
            first["absences"] = [_absence(plan, rng)]
        if rng.random() < 0.09:
            others += _second(plan, rng, organisation, number, first)
    yield first
    yield from others


def _pool(plan: Plan, rng: Random, organisation: Organisation, number: int, unit: Unit) -> Iterator[Data]:
    """Hourly staff: one-day employments about once a week, the last ones booked ahead."""
    offset = -rng.randint(25, 40)
    title = rng.choice(TITLES[unit.work])[0]
    for sequence in range(1, 20):
        day = plan.day(offset)
        yield _employment(
            rng, organisation, number, unit, f"t{sequence}", "hourly", day, end=day, extent=0, title=title
        )
        offset += rng.randint(3, 9)
        if offset > 14:
            return


def _span(plan: Plan, rng: Random, form: str, standing: Standing) -> tuple[date, date | None]:
    if standing is Standing.STARTS_LATER:
        start = date(plan.business_date.year, 6, 15) if form == "seasonal" else plan.day(rng.randint(2, 150))
        length = {"seasonal": 62, "fixed_term": 365, "substitute": 240, "probation": 180, "trainee": 70}.get(form)
        return start, start + timedelta(days=length) if length else None
    if standing is Standing.HAS_LEFT:
        end = plan.day(-rng.randint(3, 150))
        return end - timedelta(days=rng.randint(90, 3000)), end
    past, ahead = {
        "permanent": ((20, 9000), None),
        "school_break": ((200, 4000), None),
        "fixed_term": ((30, 600), (1, 400)),
        "substitute": ((10, 300), (1, 300)),
        "probation": ((10, 170), (2, 10)),
        "elected": ((1200, 1230), (1100, 1110)),
        "consultant": ((5, 150), (5, 200)),
        "trainee": ((5, 40), (5, 60)),
        "seasonal": ((40, 90), (1, 45)),
    }[form]
    start = plan.day(-rng.randint(*past))
    return start, plan.day(rng.randint(*ahead)) if ahead else None


def _second(plan: Plan, rng: Random, organisation: Organisation, number: int, first: Data) -> list[Data]:
    """A second employment: after the first (over a weekend, or with no gap at all), or beside it, which is cut down."""
    end = first["validTo"]
    if end is not None and first["form"] in ("fixed_term", "substitute", "probation"):
        gap = rng.choice((1, 1, 3))
        start = date.fromisoformat(end) + timedelta(days=gap)
        unit = organisation.by_id[first["assignments"][0]["unit"]]
        return [_employment(rng, organisation, number, unit, "2", "permanent", start)]
    other = rng.choices(organisation.units, organisation.unit_weights)[0]
    form = rng.choice(("permanent", "elected"))
    first["extent"] = 60
    end_day = plan.day(rng.randint(60, 300)) if form == "elected" else None
    start = plan.day(-rng.randint(50, 900))
    return [_employment(rng, organisation, number, other, "2", form, start, end=end_day, extent=25)]


def _absence(plan: Plan, rng: Random) -> Data:
    kind = rng.choice(("parental", "parental", "study", "sickness", "leave", "other"))
    start = plan.day(rng.randint(-200, 60))
    end = start + timedelta(days=rng.randint(30, 420))
    return {
        "kind": kind,
        "extent": rng.choice(("full", "full", "partial")),
        "validFrom": start.isoformat(),
        "validTo": None if kind == "sickness" else end.isoformat(),
    }


def _employment(
    rng: Random,
    organisation: Organisation,
    number: int,
    unit: Unit,
    id_: str,
    form: str,
    start: date,
    *,
    end: date | None = None,
    extent: int | None = None,
    title: str | None = None,
) -> Data:
    ordinary, pay = rng.choice(TITLES[unit.work])
    work = {"elected": "Förtroendevald", "trainee": "Praktikant", "consultant": "Konsult"}.get(form, ordinary)
    told: Data = {
        "id": id_,
        "form": form,
        "validFrom": start.isoformat(),
        "validTo": end.isoformat() if end else None,
        "employeeNumber": f"{organisation.first + 400_000 + number}",
        "extent": extent if extent is not None else rng.choice((100, 100, 100, 100, 80, 75)),
        "assignments": [assignment(organisation, number, unit, start, title=title or work)],
        "terms": _terms(rng, form, pay),
    }
    if form == "consultant":
        told["sponsor"] = organisation.person_id(unit.number)
    return told


def assignment(
    organisation: Organisation, number: int, unit: Unit, start: date, *, title: str, end: date | None = None
) -> Data:
    """Return an assignment as it travels: where, as what, under whom, from and to which day."""
    placed: Data = {
        "unit": unit.id,
        "title": title,
        "site": organisation.town,
        "costCentre": unit.cost_centre,
        "validFrom": start.isoformat(),
    }
    if manager := organisation.manager_of(unit, number):
        placed["manager"] = manager
    return {**placed, "validTo": end.isoformat()} if end else placed


def _terms(rng: Random, form: str, pay: int) -> Data:
    if form == "hourly":
        return {"pay": f"{pay // 165}.50", "payPeriod": "hour", "agreement": "AB"}
    if form in ("consultant", "elected", "trainee"):
        return {"agreement": {"consultant": "avtal", "elected": "arvodesreglemente", "trainee": "praktik"}[form]}
    varied = pay + 100 * rng.randint(-15, 45)
    return {"pay": f"{varied}.00", "payPeriod": "month", "agreement": "AB", "noticeMonths": rng.choice((1, 3, 3))}
