"""What is in effect for each unit: the path, who leads it, what it inherits. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from contracts.organisation import EffectiveUnit, Leader
from services.orgtree.domain.periods import Line
from services.orgtree.domain.tree import Problem, Tree, Trouble

Works = Callable[[UUID], UUID | None]
"""Who somebody who is named is (after a merge), when they work here; None: they do not, or nobody knows them."""


@dataclass(frozen=True)
class InEffect:
    """All units of a tree as they are in effect.

    Attributes:
        units: Each unit in effect.
        moved: Closed units, and the one that took each over.
        problems: By unit; of those that wait to be in effect too.
    """

    units: Mapping[str, EffectiveUnit]
    moved: Mapping[str, str]
    problems: Mapping[str, tuple[Problem, ...]] = field(default_factory=dict)


def in_effect(tree: Tree, lines: Mapping[str, Line], works: Works) -> InEffect:
    """Return what is in effect, from the roots downwards: each unit adds to what is above it.

    Args:
        tree: Where each unit is.
        lines: All units, by id.
        works: Who works here.
    """
    units: dict[str, EffectiveUnit] = {}
    problems: dict[str, list[Problem]] = {}
    for problem in tree.problems:
        problems.setdefault(problem.unit, []).append(problem)
    for unit in tree.downwards():
        fields, line = tree.fields[unit], lines[unit]
        parent = tree.parent[unit]
        above = None if parent is None else units[parent]
        own = tuple(_own(unit, fields.named, fields.acting_manager, works))
        if missing := list(_lacking(unit, fields.named, own, above)):
            problems.setdefault(unit, []).extend(missing)
        units[unit] = EffectiveUnit(
            name=fields.name,
            path=(*(above.path if above else ()), unit),
            leaders=_once((*own, *(above.leaders if above else ()))),
            kind=fields.kind,
            site=fields.site or (above.site if above else None),
            cost_centre=fields.cost_centre or (above.cost_centre if above else None),
            mail_domain=fields.mail_domain or (above.mail_domain if above else None),
            valid_from=line.valid_from,
            valid_to=line.valid_to,
            successors=line.successors,
        )
    return InEffect(units, tree.moved, {unit: tuple(found) for unit, found in problems.items()})


def _own(unit: str, named: Sequence[UUID], acting: UUID | None, works: Works) -> Iterator[Leader]:
    for person in named:
        present = works(person)
        if present is not None:
            yield Leader(person=present, unit=unit, acting=person == acting)


def _lacking(unit: str, named: Sequence[UUID], own: Sequence[Leader], above: EffectiveUnit | None) -> Iterable[Problem]:
    """Return why a unit has no leader of its own, and whether nobody leads it at all."""
    if own:
        return
    yield Problem(unit, Trouble.MANAGER_GONE if named else Trouble.VACANT)
    if above is None or not above.leaders:
        yield Problem(unit, Trouble.LEADERLESS)


def _once(leaders: Iterable[Leader]) -> tuple[Leader, ...]:
    """Return each person once, where they lead nearest."""
    found: dict[UUID, Leader] = {}
    for leader in leaders:
        found.setdefault(leader.person, leader)
    return tuple(found.values())
