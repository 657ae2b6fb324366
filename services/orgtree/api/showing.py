"""What the routes show of units: who leads them by name only to whom that is shown."""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any
from uuid import UUID

from pydantic.alias_generators import to_camel

from services.orgtree.domain import plan as plans
from services.orgtree.domain.periods import Fields, Line
from services.orgtree.domain.tree import Problem, Tree
from services.orgtree.handlers.asof import AsOf
from services.orgtree.store import people

FIELDS = ("name", "parent", "manager", "acting_manager", "kind", "site", "cost_centre", "mail_domain")


def down_to(tree: Tree, root: str | None, depth: int) -> list[str]:
    """Return a unit and those below it, so many levels deep; without one, from the roots on."""
    top = len(tree.path(root)) if root else 1
    return [unit for unit in tree.downwards(root) if len(tree.path(unit)) < top + depth]


def unit(tree: Tree, unit: str, counts: Mapping[str, int], names: Mapping[UUID, str]) -> dict[str, Any]:
    """Return a unit in effect, with how many people are in it and how many units are directly below."""
    fields = tree.fields[unit]
    return {
        "unit": unit,
        "name": fields.name,
        "parent": tree.parent[unit],
        "depth": len(tree.path(unit)),
        "kind": fields.kind,
        "site": fields.site,
        "costCentre": fields.cost_centre,
        "mailDomain": fields.mail_domain,
        "leaders": [leader(person, fields, names) for person in fields.named],
        "people": counts.get(unit, 0),
        "children": len(tree.children.get(unit, ())),
        "problems": list(tree.troubles.get(unit, ())),
    }


def leader(person: UUID, fields: Fields, names: Mapping[UUID, str]) -> dict[str, Any]:
    """Return who leads; of somebody whom the reader may not see, or nobody knows, only that there is somebody."""
    seen = person if person in names else None
    return {"person": seen, "name": names.get(person), "acting": person == fields.acting_manager}


def called(tree: Tree, unit: str) -> dict[str, str]:
    """Return what a unit in effect is called."""
    return {"unit": unit, "name": tree.fields[unit].name}


def problem(found: AsOf, one: Problem) -> dict[str, Any]:
    """Return a problem, and what its unit is called."""
    return {
        "unit": one.unit,
        "name": name_of(found.lines, one.unit, found.tree.day),
        "code": one.trouble,
        "other": one.other,
    }


def name_of(lines: Mapping[str, Line], unit: str, day: date) -> str | None:
    """Return what a unit is called on a day, in effect or not."""
    return lines[unit].on(day).name if unit in lines else None


def told(fields: Fields, names: Mapping[UUID, str]) -> dict[str, Any]:
    """Return what is said of a unit; leaders by name, of whom the reader may not see only that there is somebody."""
    told: dict[str, Any] = {to_camel(name): getattr(fields, name) for name in FIELDS}
    for name, person in (("manager", fields.manager), ("acting_manager", fields.acting_manager)):
        seen = person if person in names else None
        told[to_camel(name)] = person and {"person": seen, "name": names.get(person)}
    return told


def title(member: people.Member, on: date) -> str | None:
    """Return a member's title on a day."""
    job = member.record.main_employment(on)
    assignment = job.assignment(on) if job else None
    return assignment.title if assignment else None


def coming(lines: Iterable[Line], today: date) -> Iterable[tuple[date, Line, str]]:
    """Yield what is to change after today: the day, which unit, and whether it begins, changes or ends."""
    for line in lines:
        if line.valid_from > today:
            yield line.valid_from, line, "begins"
        for day in line.days:
            if day > max(today, line.valid_from):
                yield day, line, "changes"
        if line.valid_to is not None and line.valid_to >= today:
            yield line.valid_to, line, "ends"


def change(day: date, line: Line, what: str, tree: Tree, names: Mapping[UUID, str]) -> dict[str, Any]:
    """Return a coming change: each field before and after it, and what a unit becomes when it ends."""
    found: dict[str, Any] = {"on": day, "unit": line.unit, "name": line.on(day).name, "what": what, "fields": []}
    if what == "changes" and (before := line.before(day)) is not None:
        old, new = told(before[1], names), told(line.on(day), names)
        found["fields"] = [
            {"field": name, "before": old[name], "after": new[name]}
            for name in map(to_camel, FIELDS) if old[name] != new[name]
        ]  # fmt: skip
        for one in found["fields"]:
            if one["field"] == "parent":
                one["beforeName"], one["afterName"] = (_parent_name(tree, one[side]) for side in ("before", "after"))
    if what == "ends":
        found["successors"] = list(line.successors)
    return found


def _parent_name(tree: Tree, unit: str | None) -> str | None:
    return tree.fields[unit].name if unit is not None and unit in tree.fields else None


def difference(one: plans.UnitDifference, names: Mapping[UUID, str]) -> dict[str, Any]:
    """Return how a unit would be with a plan, and is to be without it."""
    present = one.after or one.before
    return {
        "unit": one.unit,
        "name": present.name if present else None,
        "kinds": list(one.kinds),
        "before": None if one.before is None else {**told(one.before, names), "path": list(one.path_before)},
        "after": None if one.after is None else {**told(one.after, names), "path": list(one.path_after)},
    }
