"""What a reorganisation would change before anybody is told of it: on each of its days, beside what is to be anyway."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any
from uuid import UUID

from services.orgtree.domain.periods import Fields, Line
from services.orgtree.domain.tree import Problem, Tree, tree


@dataclass(frozen=True)
class Edit:
    """What shall be different of a unit: fields from a day on, its first and last day, what it becomes.

    `fields`: only those that are told. `sets`: which of `valid_from`, `valid_to` and `successors` are told.
    """

    unit: str
    on: date
    fields: Mapping[str, Any]
    sets: Mapping[str, Any]


class EditRefused(Exception):
    """An edit that cannot be: `field` and `code` say which and why."""

    def __init__(self, index: int, field: str, code: str) -> None:
        super().__init__(code)
        self.index = index
        self.field = field
        self.code = code


@dataclass(frozen=True)
class UnitDifference:
    """How a unit is on a day with the plan and without it; None: it is not in effect then."""

    unit: str
    before: Fields | None
    after: Fields | None
    path_before: tuple[str, ...]
    path_after: tuple[str, ...]

    @property
    def kinds(self) -> tuple[str, ...]:
        """What happens to it, the weightiest first."""
        return tuple(_kinds(self))


@dataclass(frozen=True)
class Day:
    """What a plan changes on a day, and which problems there are that would not be without it.

    `moved`: units whose people are elsewhere, to where; None: nowhere. `led`: units whose people somebody else leads.
    """

    day: date
    units: tuple[UnitDifference, ...]
    problems: tuple[Problem, ...]
    moved: Mapping[str, str | None]
    led: frozenset[str] = frozenset()


def planned(lines: Mapping[str, Line], edits: Sequence[Edit]) -> dict[str, Line]:
    """Return the units as they would be; later edits of the same unit come on top of earlier ones.

    Raises:
        EditRefused: A new unit lacks its name or first day, or a unit would end before it begins.
    """
    found = dict(lines)
    for index, edit in enumerate(edits):
        found[edit.unit] = _edited(found.get(edit.unit), edit, index)
    return found


def days(lines: Mapping[str, Line], after: Mapping[str, Line], edits: Sequence[Edit], today: date) -> list[date]:
    """Return the days on which the edited units change, with the plan or without it; none before today."""
    found = {today}
    for edit in edits:
        for line in (lines.get(edit.unit), after[edit.unit]):
            if line is not None:
                found.update(line.boundaries)
    return sorted(day for day in found if day >= today)


def compare(
    lines: Mapping[str, Line],
    after: Mapping[str, Line],
    on: Sequence[date],
    occupied: Callable[[Mapping[str, Line], date], frozenset[str]],
) -> list[Day]:
    """Return what differs on each of the days, leaving out what differed in the same way on the one before."""
    found: list[Day] = []
    seen: tuple[object, ...] = ((), (), {})
    for day in on:
        one = _day(tree(lines, day, occupied(lines, day)), tree(after, day, occupied(after, day)))
        told = (one.units, one.problems, one.moved)
        if told != seen:
            found.append(one)
        seen = told
    return found


def _day(before: Tree, after: Tree) -> Day:
    units = sorted(before.fields.keys() | after.fields.keys())
    differences = (
        UnitDifference(
            unit,
            before.fields.get(unit),
            after.fields.get(unit),
            before.path(unit) if unit in before.fields else (),
            after.path(unit) if unit in after.fields else (),
        )
        for unit in units
    )
    return Day(
        day=after.day,
        units=tuple(one for one in differences if one.kinds),
        problems=tuple(one for one in after.problems if one not in before.problems),
        moved={
            unit: after.stands(unit)
            for unit in sorted({*units, *before.moved, *after.moved})
            if before.stands(unit) is not None and before.stands(unit) != after.stands(unit)
        },
        led=_led(before, after),
    )


def _led(before: Tree, after: Tree) -> frozenset[str]:
    old, new = _leaders(before), _leaders(after)
    units = {*before.fields, *before.moved}
    return frozenset(unit for unit in units if old.get(before.stands(unit) or "") != new.get(after.stands(unit) or ""))


def _leaders(tree: Tree) -> dict[str, UUID | None]:
    """Return who is named to lead each unit, or the nearest one above it."""
    found: dict[str, UUID | None] = {}
    for unit in tree.downwards():
        named = tree.fields[unit].named
        found[unit] = named[0] if named else found.get(tree.parent[unit] or "")
    return found


def _kinds(one: UnitDifference) -> Iterator[str]:
    if one.before is None or one.after is None:
        yield "created" if one.before is None else "closed"
        return
    if one.path_before != one.path_after:
        yield "moved"
    if one.before.name != one.after.name:
        yield "renamed"
    if one.before.named != one.after.named:
        yield "leaders"
    rest = ("kind", "site", "cost_centre", "mail_domain")
    if any(getattr(one.before, name) != getattr(one.after, name) for name in rest):
        yield "changed"


def _later(line: Line, edit: Edit) -> Iterator[tuple[date, Fields]]:
    """Yield the steps after an edit: each of its fields holds until the next day on which another value is planned."""
    held, planned = dict(edit.fields), line.on(edit.on)
    for day, fields in line.steps:
        if day > edit.on:
            held = {name: value for name, value in held.items() if getattr(fields, name) == getattr(planned, name)}
            planned = fields
            yield day, replace(fields, **held)


def _edited(line: Line | None, edit: Edit, index: int) -> Line:
    first = edit.sets.get("valid_from", line.valid_from if line else None)
    last = edit.sets.get("valid_to", line.valid_to if line else None)
    if line is None and "name" not in edit.fields:
        raise EditRefused(index, "name", "unit.name_missing")
    if first is None:
        raise EditRefused(index, "validFrom", "unit.start_missing")
    if last is not None and last < first:
        raise EditRefused(index, "validTo", "unit.end_before_start")
    successors = tuple(edit.sets.get("successors", line.successors if line else ()))
    if successors and last is None:
        raise EditRefused(index, "successors", "unit.end_missing")
    if edit.fields.get("parent") == edit.unit:
        raise EditRefused(index, "parent", "unit.own_parent")
    if line is None:
        return Line(edit.unit, 0, first, last, ((first, Fields(**edit.fields)),), successors)
    before = [(day, fields) for day, fields in line.steps if day < edit.on]
    since = line.on(edit.on)
    steps = (*before, (edit.on, replace(since, **edit.fields)), *_later(line, edit)) if edit.fields else line.steps
    return Line(edit.unit, line.revision, first, last, tuple(steps), successors)
