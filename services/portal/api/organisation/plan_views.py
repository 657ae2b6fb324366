"""What orgtree and ingestion answer about a plan, as far as pages show it. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from pydantic import Field

from services.kernel.unit_plan import PlannedEdit
from services.portal.api.organisation.views import Leader, Unit
from services.portal.domain.answers import Trouble
from services.portal.domain.work import View

GROUPS = 3
"""Groups that a directory has for each unit: of its people, of its managers, and the one of groups."""

_FIELD = re.compile(r"/body/units/(\d{1,6})(?:/([^/]+).*)?")
_LEADS = ("manager", "acting_manager")
_SHOWN = ("name", *_LEADS, "kind", "site", "cost_centre", "mail_domain")


class Side(View):
    """What a unit is with the plan, or without it."""

    name: str
    manager: Leader | None = None
    acting_manager: Leader | None = None
    kind: str | None = None
    site: str | None = None
    cost_centre: str | None = None
    mail_domain: str | None = None
    path: list[str]

    @property
    def parent(self) -> str | None:
        """The unit above it in the tree."""
        return self.path[-2] if len(self.path) > 1 else None


@dataclass(frozen=True)
class Contrast:
    """A field with the plan and without it; `field` is its name on the wire."""

    field: str
    before: str | Leader | None
    after: str | Leader | None


class Difference(View):
    """A unit that a plan changes on a day."""

    unit: str
    name: str | None = None
    kinds: list[str]
    before: Side | None = None
    after: Side | None = None
    people: int = 0

    @property
    def marks(self) -> tuple[str, ...]:
        """What happens to the unit itself: one that only follows a unit above it has not moved."""
        follows = self.before is not None and self.after is not None and self.before.parent == self.after.parent
        return tuple(kind for kind in self.kinds if kind != "moved" or not follows)

    @property
    def contrasts(self) -> Sequence[Contrast]:
        """The fields that differ; of a unit that comes or goes there is nothing to compare."""
        if self.before is None or self.after is None:
            return ()
        return tuple(_contrasts(self.before, self.after))


class Wrong(View):
    """What would be wrong with a unit."""

    unit: str
    name: str | None = None
    code: str
    other: str | None = None


class Moving(View):
    """People whose unit goes, and where they come."""

    source: str = Field(alias="from")
    to: str | None = None
    people: int


class PlanDay(View):
    """What a plan changes on a day."""

    on: date
    units: list[Difference]
    problems: list[Wrong]
    people: int
    newly_led: int = 0
    moves_people: list[Moving]

    def count(self, kind: str) -> int:
        """Return how many units something happens to."""
        return sum(kind in one.marks for one in self.units)

    @property
    def following(self) -> int:
        """How many units only follow one above them."""
        return sum(not one.marks for one in self.units)


class Plan(View):
    """What a plan changes, day by day."""

    days: list[PlanDay]

    @property
    def units(self) -> int:
        """How many units it changes."""
        return len({one.unit for day in self.days for one in day.units})

    @property
    def people(self) -> int:
        """How many people are in the units that it changes, on the day with the most."""
        return max((day.people for day in self.days), default=0)

    @property
    def newly_led(self) -> int:
        """How many people somebody else leads, on the day with the most."""
        return max((day.newly_led for day in self.days), default=0)

    @property
    def groups(self) -> int:
        """How many groups a directory makes, renames, moves or closes."""
        kinds = {"created", "closed", "moved", "renamed"}
        found = {one.unit for day in self.days for one in day.units if not kinds.isdisjoint(one.marks)}
        return GROUPS * len(found)


class Fault(View):
    """What is wrong with a field of a word; `code` and `reason` are the service's."""

    field: str
    code: str
    reason: str = ""


class Judged(View):
    """What would become of a word."""

    index: int
    status: str
    unit: str | None = None
    code: str | None = None
    errors: list[Fault] = Field(default_factory=list)
    warnings: list[Fault] = Field(default_factory=list)


class Judgement(View):
    """What would become of words, or became of them."""

    units: list[Judged]


@dataclass(frozen=True)
class RowFault:
    """What is wrong in a row of a plan; without a row, with all of it. `column`: which field, as it is written."""

    row: int | None
    column: str | None
    code: str
    reason: str = ""


def refused(trouble: Trouble, edits: Sequence[PlannedEdit]) -> list[RowFault]:
    """Return what a service refused of a plan, by row; nothing when it was not about the rows."""
    codes = trouble.codes if len(trouble.codes) == len(trouble.errors) else (trouble.code,) * len(trouble.errors)
    found = zip(trouble.errors.items(), codes, strict=True)
    return [_fault(field, code, reason, edits) for (field, reason), code in found if _FIELD.fullmatch(field)]


def judged(found: Judgement, edits: Sequence[PlannedEdit], *, warned: bool = False) -> list[RowFault]:
    """Return what cannot be, or what somebody should look at, of the words that edits become."""
    said = ((one, fault) for one in found.units for fault in (one.warnings if warned else one.errors))
    return [_fault(fault.field, fault.code, fault.reason, edits) for _, fault in said]


def word(edit: Mapping[str, Any]) -> dict[str, Any]:
    """Return an edit as a word for the ledger: nothing said of a day means from now on."""
    said = {name: value for name, value in edit.items() if name != "unit"}
    if said.get("effectiveFrom", "") is None:
        del said["effectiveFrom"]
    return {"externalId": edit.get("unit"), **said}


def after(units: Sequence[Unit], differences: Sequence[Difference]) -> list[Unit]:
    """Return the tree with a plan: each unit after the one above it, by name."""
    found = {one.unit: one for one in units}
    for one in differences:
        found.pop(one.unit, None)
        if one.after is not None:
            found[one.unit] = _with(one, one.after)
    below: dict[str | None, list[Unit]] = {}
    for unit in found.values():
        below.setdefault(unit.parent if unit.parent in found else None, []).append(unit)
    return list(_downwards(below))


def _downwards(below: Mapping[str | None, Sequence[Unit]]) -> Iterator[Unit]:
    ahead = [(unit, 1) for unit in _by_name(below.get(None, ()))]
    while ahead:
        unit, depth = ahead.pop()
        yield unit.model_copy(update={"depth": depth})
        ahead.extend((one, depth + 1) for one in _by_name(below.get(unit.unit, ())))


def _by_name(units: Sequence[Unit]) -> list[Unit]:
    """Return units the last first: what is taken from the end comes in order."""
    return sorted(units, key=lambda one: (one.name.casefold(), one.unit), reverse=True)


def _with(one: Difference, side: Side) -> Unit:
    leaders = [
        leader.model_copy(update={"acting": name == "acting_manager"})
        for name in reversed(_LEADS)
        if (leader := getattr(side, name)) is not None
    ]
    said = {name: getattr(side, name) for name in ("kind", "site", "cost_centre", "mail_domain")}
    return Unit(unit=one.unit, name=side.name, parent=side.parent, leaders=leaders, people=one.people, **said)


def _contrasts(before: Side, after_: Side) -> Iterator[Contrast]:
    if before.parent != after_.parent:
        yield Contrast("parent", before.parent, after_.parent)
    for name in _SHOWN:
        old, new = getattr(before, name), getattr(after_, name)
        if old != new:
            field = Side.model_fields[name]
            yield Contrast(field.alias or name, old, new)


def _fault(field: str, code: str, reason: str, edits: Sequence[PlannedEdit]) -> RowFault:
    place = _FIELD.fullmatch(field)
    if place is None or int(place[1]) >= len(edits):
        return RowFault(None, None, code, reason)
    column = "unit" if place[2] == "externalId" else place[2]
    return RowFault(edits[int(place[1])].row, column, code, reason)
