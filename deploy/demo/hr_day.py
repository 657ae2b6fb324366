"""One HR day at a municipality: who is hired, moves and leaves, drawn so that each person occurs once.

Events say only what changed; a field that is left out keeps its value (contracts/hr.py).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from random import Random

from deploy.demo import names
from deploy.demo.people import Data, Person, Plan, Standing, assignment, person
from deploy.demo.units import Organisation, Unit


class DayKind(StrEnum):
    """What HR did."""

    HIRE = "hire"
    MOVE = "move"
    EXIT = "exit"
    CANCELLED_HIRE = "cancelled hire"
    DISMISSAL = "dismissal"


@dataclass(frozen=True)
class Change:
    """One thing that HR did: to whom, and the data of the event."""

    kind: DayKind
    data: Data


TOMORROW = 1
# Days from the business date on which new people start.
_STARTS = (0, 0, 0, 0, 0, 0, 0, TOMORROW, TOMORROW, TOMORROW, TOMORROW, -7, -4, 7, 7, 14, 14, 30, 30, 42, 60, 105, 105)
_RETURN_STARTS = (0, 7)
# Days from the business date of the last day: in the past, yesterday (out since midnight), today (out tonight), later.
_LAST_DAYS = (
    *(-10, -9, -7, -5, -4, -3),
    *([-1] * 5),
    *([0] * 5),
    *(11, 11, 18, 29, 29, 29, 29, 45, 59, 60, 90, 90, 90, 120),
)
_PREPARED = 12
"""Whoever starts within so many days has an account that waits, disabled (deploy/policy/accounts.json: 14 days)."""
_SHORT_LEAD = ("seasonal", "trainee")
_TRANSFER_STARTS = (*([0] * 14), *(1, 7, 7, 14, 14, 30, 30, 30, 61, 61))


def changes(plan: Plan, organisation: Organisation, people: int) -> list[Change]:
    """Return the day's changes, in the order in which they were made.

    Raises:
        ValueError: Too few people for so busy a day.
    """
    rng = plan.random(organisation.key, "hr day")
    day = _Day(plan, rng, organisation, people)
    made = [*day.hires(), *day.moves(), *day.exits(), *day.cancellations(), day.dismissal()]
    rng.shuffle(made)
    return made


class _Day:
    def __init__(self, plan: Plan, rng: Random, organisation: Organisation, people: int) -> None:
        self._plan, self._rng, self._organisation, self._people = plan, rng, organisation, people
        # One walk over everybody for each sort of person that is needed; nobody is met twice on a walk.
        self._plain = self._walk(lambda one: one.plain)
        self._fixed = self._walk(_fixed_term)
        self._soon = self._walk(lambda one: _to_come(one) and _start(one) <= plan.day(_PREPARED))
        self._later = self._walk(lambda one: _to_come(one) and _start(one) > plan.day(_PREPARED))
        self._left = self._walk(_former)

    def _walk(self, wanted: Callable[[Person], bool]) -> Iterator[Person]:
        managers = len(self._organisation.units)
        others = max(self._people - managers, 1)
        stride = next(step for step in (7919, 7907, 7901) if others % step)  # a prime: the walk meets everybody
        start = self._rng.randrange(others)
        for step in range(others):
            number = managers + (start + step * stride) % others
            if number < self._people and wanted(one := person(self._plan, self._organisation, number)):
                yield one

    def hires(self) -> Iterator[Change]:
        for sequence, offset in enumerate(_STARTS):
            new = person(self._plan, self._organisation, self._people + sequence, Standing.STARTS_LATER)
            yield Change(DayKind.HIRE, {**new.data, "employments": [self._begin(new, offset, "1")]})
        for offset in _RETURN_STARTS:
            back = _met(self._left)
            yield Change(DayKind.HIRE, self._said(back, self._begin(back, offset, "again")))

    def _begin(self, who: Person, offset: int, id_: str) -> Data:
        """Give the new employment: the one that was drawn, with other dates; who comes back stays."""
        start = self._plan.day(offset)
        drawn = who.employments[0]
        limited = who.standing is Standing.STARTS_LATER and drawn["validTo"] is not None
        form = drawn["form"] if limited else "permanent"
        end = start + (date.fromisoformat(drawn["validTo"]) - _start(who)) if limited else None
        placed = {**drawn["assignments"][0], "validFrom": start.isoformat()}
        kept = {name: drawn[name] for name in ("employeeNumber", "extent", "terms")}
        last = {"validTo": end.isoformat() if end else None}
        return {"id": id_, "form": form, "validFrom": start.isoformat(), **last, **kept, "assignments": [placed]}

    def moves(self) -> Iterator[Change]:
        for offset in _TRANSFER_STARTS:
            yield self._move(self._transfer(mover := _met(self._plain), offset), mover)
        for _ in range(4):
            marries = _met(self._plain)
            name = {**marries.data["name"], "family": names.family_name(self._rng, marries.data["name"]["family"])}
            yield Change(DayKind.MOVE, {"externalId": marries.id, "name": name})
        for kind, extent, offset in (("parental", "full", 0), ("study", "partial", 0), *[("parental", "full", 28)] * 2):
            away = {"kind": kind, "extent": extent, "validFrom": self._day(offset), "validTo": self._day(offset + 300)}
            yield self._move({"absences": [away]}, _met(self._plain))
        for offset in (0, 0, 30):
            yield self._convert(_met(self._fixed), offset)
        for offset in (0, 14, 30):
            extra = _met(self._plain)
            yield Change(DayKind.MOVE, self._said(extra, self._elected(extra, offset)))
        for _ in range(2):
            promoted = _met(self._plain)
            yield self._move(self._transfer(promoted, 0, title="Samordnare"), promoted)

    def _move(self, change: Data, who: Person) -> Change:
        return Change(DayKind.MOVE, self._said(who, {"id": who.employments[0]["id"], **change}))

    def _transfer(self, who: Person, offset: int, title: str | None = None) -> Data:
        """Close the assignment the day before and open another: in another unit, or with another title in the same."""
        before = who.employments[0]["assignments"][0]
        unit = self._organisation.by_id[before["unit"]] if title else self._other_unit(before["unit"])
        after = assignment(self._organisation, who.number, unit, self._plan.day(offset), title=title or before["title"])
        return {"assignments": [{**before, "validTo": self._day(offset - 1)}, after]}

    def _other_unit(self, id_: str) -> Unit:
        work = self._organisation.by_id[id_].work
        alike = [unit for unit in self._organisation.units if unit.work == work and unit.id != id_]
        return self._rng.choice(alike or [unit for unit in self._organisation.units if unit.id != id_])

    def _convert(self, who: Person, offset: int) -> Change:
        """A fixed term becomes permanent without a gap: the old one is cut, the new one begins."""
        before = who.employments[0]
        placed = {**before["assignments"][0], "validFrom": self._day(offset)}
        kept = {name: before[name] for name in ("employeeNumber", "extent", "terms")}
        new = {"id": "2", "form": "permanent", "validFrom": self._day(offset), "validTo": None, **kept}
        old = {"id": before["id"], "validTo": self._day(offset - 1), "endReason": "transfer"}
        return Change(DayKind.MOVE, self._said(who, old, {**new, "assignments": [placed]}))

    def _elected(self, who: Person, offset: int) -> Data:
        council = next(
            (unit for unit in self._organisation.units if unit.work == "council"), self._organisation.units[0]
        )
        start = self._plan.day(offset)
        placed = assignment(self._organisation, who.number, council, start, title="Förtroendevald")
        number = {"employeeNumber": who.employments[0]["employeeNumber"]}
        dates = {"validFrom": start.isoformat(), "validTo": self._day(offset + 1000)}
        return {"id": "2", "form": "elected", **dates, **number, "extent": 10, "assignments": [placed]}

    def exits(self) -> Iterator[Change]:
        for offset in _LAST_DAYS:
            who = _met(self._plain)
            reason = self._rng.choice(("resignation", "resignation", "retirement", "notice"))
            end = {"id": who.employments[0]["id"], "validTo": self._day(offset), "endReason": reason}
            yield Change(DayKind.EXIT, self._said(who, end))

    def cancellations(self) -> Iterator[Change]:
        # Two whose accounts are prepared already, if there are any: those disappear again.
        for walk in (self._soon, self._soon, self._later, self._later, self._later):
            who = next(walk, None) or _met(self._later)
            cancelled = {"id": who.employments[0]["id"], "cancelled": True}
            yield Change(DayKind.CANCELLED_HIRE, self._said(who, cancelled))

    def dismissal(self) -> Change:
        who = _met(self._plain)
        end = {"id": who.employments[0]["id"], "validTo": self._day(0), "endReason": "dismissal"}
        return Change(DayKind.DISMISSAL, self._said(who, end))

    def _day(self, offset: int) -> str:
        return self._plan.day(offset).isoformat()

    @staticmethod
    def _said(who: Person, *employments: Data) -> Data:
        return {"externalId": who.id, "employments": list(employments)}


def _met(walk: Iterator[Person]) -> Person:
    one = next(walk, None)
    if one is None:
        message = "there are too few people for the demo's HR day"
        raise ValueError(message)
    return one


def _to_come(one: Person) -> bool:
    return one.standing is Standing.STARTS_LATER and _single(one) and one.employments[0]["form"] not in _SHORT_LEAD


def _former(one: Person) -> bool:
    return one.standing is Standing.HAS_LEFT and _single(one) and one.employments[0]["form"] != "consultant"


def _start(one: Person) -> date:
    return date.fromisoformat(one.employments[0]["validFrom"])


def _single(one: Person) -> bool:
    return len(one.employments) == 1 and one.data.get("protection", "none") == "none"


def _fixed_term(one: Person) -> bool:
    only = one.employments[0]
    return (
        one.standing is Standing.EMPLOYED and _single(one) and only["form"] == "fixed_term" and "absences" not in only
    )
