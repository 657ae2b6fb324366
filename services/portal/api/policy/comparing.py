"""How one decision table differs from another: rows that are new, gone, changed or moved, and each old value. Pure."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field

from services.portal.api.policy.views import Table

Values = tuple[str, ...]


@dataclass(frozen=True)
class Cell:
    """A cell; `before` is what stood there, or None when that is the same."""

    values: Values
    before: Values | None = None


@dataclass(frozen=True)
class Line:
    """A row as it is shown; `change` holds new, removed, changed and moved, `was` its place before."""

    id: str
    description: tuple[str, str]
    inputs: tuple[Cell, ...]
    outputs: tuple[Cell, ...]
    position: int | None
    was: int | None = None
    change: tuple[str, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """A table, with what is different from another one."""

    inputs: Values
    outputs: Values
    lines: tuple[Line, ...]
    collects: bool = False

    @property
    def differing(self) -> int:
        """How many rows differ."""
        return sum(1 for line in self.lines if line.change)


@dataclass
class _Side:
    """Columns of one kind: those of the new table, then those that are gone."""

    new: Values
    old: Values
    shown: Values = field(init=False)

    def __post_init__(self) -> None:
        self.shown = (*self.new, *(one for one in self.old if one not in self.new))

    def present(self, row: Sequence[Values]) -> list[Values]:
        return [row[self.new.index(one)] if one in self.new else () for one in self.shown]

    def former(self, row: Sequence[Values]) -> list[Values]:
        return [row[self.old.index(one)] if one in self.old else () for one in self.shown]

    def cells(self, row: Sequence[Values], before: Sequence[Values] | None) -> tuple[Cell, ...]:
        if before is None:
            return tuple(Cell(values) for values in self.present(row))
        pairs = zip(self.present(row), self.former(before), strict=True)
        return tuple(Cell(values, old if old != values else None) for values, old in pairs)


def compared(table: Table, against: Table | None) -> Comparison:
    """Return a table as it is shown, with its differences from `against`; rows that are gone stand where they stood."""
    old = against or table
    inputs, outputs = _Side(table.inputs, old.inputs), _Side(table.outputs, old.outputs)
    places = {row.id: place for place, row in enumerate(old.rows, start=1)}
    kept = [row.id for row in table.rows if row.id in places]
    still = _in_order([places[one] for one in kept])
    lines: list[Line] = []
    for place, row in enumerate(table.rows, start=1):
        before = old.row(row.id)
        given = inputs.cells(row.inputs, before.inputs if before else None)
        gives = outputs.cells(row.outputs, before.outputs if before else None)
        changes = []
        if before is None:
            changes.append("new")
        else:
            if any(cell.before is not None for cell in (*given, *gives)):
                changes.append("changed")
            if places[row.id] not in still:
                changes.append("moved")
        lines.append(Line(row.id, row.description, given, gives, place, places.get(row.id), tuple(changes)))
    for row in old.rows:
        if table.row(row.id) is None:
            given = tuple(Cell(values) for values in inputs.former(row.inputs))
            gives = tuple(Cell(values) for values in outputs.former(row.outputs))
            gone = Line(row.id, row.description, given, gives, None, places[row.id], ("removed",))
            lines.insert(_after(lines, old, places[row.id]), gone)
    return Comparison(inputs.shown, outputs.shown, tuple(lines), table.collects)


def _after(lines: Sequence[Line], old: Table, place: int) -> int:
    """Return where a row that is gone belongs: behind the row that stood before it."""
    if place == 1:
        return 0
    neighbour = old.rows[place - 2].id
    return next((index + 1 for index, line in enumerate(lines) if line.id == neighbour), len(lines))


def _in_order(places: Sequence[int]) -> frozenset[int]:
    """Return a longest increasing subsequence: the fewest rows count as moved."""
    ends: list[int] = []
    chains: list[tuple[int, ...]] = []
    for place in places:
        at = bisect_left(ends, place)
        chain = (*(chains[at - 1] if at else ()), place)
        ends[at : at + 1], chains[at : at + 1] = [place], [chain]
    return frozenset(chains[-1] if chains else ())
