"""The tree that is in effect on a day, from HR's records of its units: a pure function, which always ends in a tree.

What HR says may not be a tree: a parent that nobody has told of, two units above each other, a unit that closes with
people in it. Each of these is a problem that a person is shown, before it takes effect where it is planned; nothing is
taken from anybody for it. What cannot be placed is not in effect yet; a move that would close a circle is not carried
out; who is left in a closed unit stays there, unless one unit alone has taken it over.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from services.orgtree.domain.periods import Fields, Line


class Trouble(StrEnum):
    """What a person has to look at."""

    PARENT_UNKNOWN = "unit.parent_unknown"
    PARENT_NOT_YET = "unit.parent_not_yet"
    CIRCLE = "unit.circle"
    CLOSED_OCCUPIED = "unit.closed_occupied"
    MANAGER_GONE = "unit.manager_gone"
    VACANT = "unit.vacant"
    LEADERLESS = "unit.leaderless"


@dataclass(frozen=True, order=True)
class Problem:
    """What is wrong with a unit, and which other one it is about."""

    unit: str
    trouble: Trouble
    other: str | None = None


@dataclass(frozen=True)
class Tree:
    """The units in effect on a day.

    Attributes:
        day: Which day.
        fields: What each unit in effect is.
        parent: The unit above each; None: it is a root.
        moved: Closed units, and the one that took each over.
        problems: Of units in effect or waiting to be.
    """

    day: date
    fields: Mapping[str, Fields]
    parent: Mapping[str, str | None]
    moved: Mapping[str, str]
    problems: tuple[Problem, ...] = ()
    children: Mapping[str | None, tuple[str, ...]] = field(init=False, compare=False)
    troubles: Mapping[str, tuple[Trouble, ...]] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        """Sort the units below each other, by name, and what is wrong by unit."""
        wrong: dict[str, tuple[Trouble, ...]] = {}
        for one in self.problems:
            wrong[one.unit] = (*wrong.get(one.unit, ()), one.trouble)
        object.__setattr__(self, "troubles", wrong)
        below: dict[str | None, list[str]] = defaultdict(list)
        for unit, above in self.parent.items():
            below[above].append(unit)
        order = {above: tuple(sorted(units, key=self._order)) for above, units in below.items()}
        object.__setattr__(self, "children", order)

    def _order(self, unit: str) -> tuple[str, str]:
        return self.fields[unit].name.casefold(), unit

    def stands(self, unit: str) -> str | None:
        """Return the unit in effect that people of a unit are in: itself, or who took it over; None: it is in none."""
        found = self.moved.get(unit, unit)
        return found if found in self.fields else None

    def downwards(self, root: str | None = None) -> Iterator[str]:
        """Yield a unit and all below it, each after the one above it; without a root all units."""
        ahead = list(reversed(self.children.get(None, ()))) if root is None else [root]
        while ahead:
            unit = ahead.pop()
            yield unit
            ahead.extend(reversed(self.children.get(unit, ())))

    def path(self, unit: str) -> tuple[str, ...]:
        """Return the units from the root to this one."""
        found: list[str] = []
        above: str | None = unit
        while above is not None:
            found.append(above)
            above = self.parent[above]
        return tuple(reversed(found))


def tree(lines: Mapping[str, Line], day: date, occupied: Collection[str] = frozenset()) -> Tree:
    """Return the tree in effect on a day.

    Args:
        lines: All units, by id.
        day: The local date.
        occupied: Units that people are in: they stay when they close, until nobody is.
    """
    live = {unit: line.on(day) for unit, line in lines.items() if line.holds(day)}
    moved = _moved(lines, live, day)
    problems: set[Problem] = set()
    _keep_occupied(lines, live, moved, day, occupied, problems)
    above = _above(lines, live, moved, day, problems)
    _cut_circles(lines, live, above, moved, day, problems)
    standing = _attached(above)
    return Tree(
        day=day,
        fields={unit: live[unit] for unit in live if unit in standing},
        parent={unit: above[unit] for unit in live if unit in standing},
        moved={unit: end for unit, end in moved.items() if end in standing},
        problems=tuple(sorted(problems, key=lambda one: (one.unit, one.trouble, one.other or ""))),
    )


def _moved(lines: Mapping[str, Line], live: Mapping[str, Fields], day: date) -> dict[str, str]:
    """Return who took over each closed unit: its only successor, or that one's, as far as it goes."""
    found: dict[str, str] = {}
    for unit, line in lines.items():
        end, seen = line, {unit}
        while end.unit not in live and end.valid_to is not None and end.valid_to < day and len(end.successors) == 1:
            following = end.successors[0]
            if following in seen or following not in lines:
                break
            seen.add(following)
            end = lines[following]
        if end.unit in live and end.unit != unit:
            found[unit] = end.unit
    return found


def _keep_occupied(
    lines: Mapping[str, Line],
    live: dict[str, Fields],
    moved: Mapping[str, str],
    day: date,
    occupied: Collection[str],
    problems: set[Problem],
) -> None:
    """Let closed units stay that people, or units that stay, are in."""

    def stays(unit: str | None) -> bool:
        if unit is None or unit in live or unit in moved or unit not in lines:
            return False
        last = lines[unit].valid_to
        return last is not None and last < day

    ahead = [unit for unit in sorted(occupied) if stays(unit)]
    ahead += [fields.parent for _, fields in sorted(live.items()) if fields.parent is not None and stays(fields.parent)]
    while ahead:
        unit = ahead.pop()
        if unit in live:
            continue
        last = lines[unit].valid_to
        live[unit] = lines[unit].on(last if last is not None else day)
        problems.add(Problem(unit, Trouble.CLOSED_OCCUPIED))
        above = live[unit].parent
        if above is not None and stays(above):
            ahead.append(above)


def _above(
    lines: Mapping[str, Line],
    live: Mapping[str, Fields],
    moved: Mapping[str, str],
    day: date,
    problems: set[Problem],
) -> dict[str, str | None]:
    """Return what HR says is above each unit; one that is not there is kept, and a problem."""
    above: dict[str, str | None] = {}
    for unit, fields in live.items():
        parent = fields.parent if fields.parent is None else moved.get(fields.parent, fields.parent)
        above[unit] = parent
        if parent is not None and parent not in live:
            ahead = parent in lines and lines[parent].valid_from > day
            problems.add(Problem(unit, Trouble.PARENT_NOT_YET if ahead else Trouble.PARENT_UNKNOWN, parent))
    return above


def _cut_circles(
    lines: Mapping[str, Line],
    live: Mapping[str, Fields],
    above: dict[str, str | None],
    moved: Mapping[str, str],
    day: date,
    problems: set[Problem],
) -> None:
    """Undo, of each circle, the move that closed it: the last one; of several on one day that of the last id."""
    refused: dict[str, set[str | None]] = defaultdict(set)
    while circle := _circle(above):
        for unit in circle:
            problems.add(Problem(unit, Trouble.CIRCLE, above[unit]))
        last = max(circle, key=lambda unit: (_moved_on(lines[unit], day), unit))
        refused[last].update((above[last], *circle))
        above[last] = _former(lines[last], day, moved, live, refused[last])


def _circle(above: Mapping[str, str | None]) -> list[str]:
    """Return the units of some circle, or nothing."""
    settled: set[str] = set()
    for start in sorted(above):
        way: dict[str, None] = {}
        unit: str | None = start
        while unit is not None and unit in above and unit not in settled:
            if unit in way:
                units = list(way)
                return units[units.index(unit) :]
            way[unit] = None
            unit = above[unit]
        settled.update(way)
    return []


def _moved_on(line: Line, day: date) -> date:
    """Return on which day the unit came below what it is below on `day`."""
    found, present = line.since(day), line.on(day).parent
    for since, fields in reversed(line.steps):
        if since > day:
            continue
        if fields.parent != present:
            break
        found = since
    return found


def _former(
    line: Line, day: date, moved: Mapping[str, str], live: Mapping[str, Fields], refused: Collection[str | None]
) -> str | None:
    """Return what the unit was below before, where it closes no circle; None: it is a root until somebody decides."""
    for since, fields in reversed(line.steps):
        parent = fields.parent if fields.parent is None else moved.get(fields.parent, fields.parent)
        if since <= day and parent is not None and parent not in refused and parent in live:
            return parent
    return None


def _attached(above: Mapping[str, str | None]) -> set[str]:
    """Return the units that have a root above them."""
    below: dict[str, list[str]] = defaultdict(list)
    for unit, parent in above.items():
        if parent is not None:
            below[parent].append(unit)
    ahead = [unit for unit, parent in above.items() if parent is None]
    found: set[str] = set()
    while ahead:
        unit = ahead.pop()
        found.add(unit)
        ahead.extend(below.get(unit, ()))
    return found
