"""The tree on any day, as it is known or was known at an instant; what has been asked for is kept."""

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from services.kernel.database import Connection
from services.orgtree.domain.periods import Line
from services.orgtree.domain.tree import Tree, tree
from services.orgtree.store import units
from services.orgtree.store.versions import History

KEPT = 64
"""So many trees are kept: between two days on which something changes it is the same one."""


@dataclass(frozen=True)
class AsOf:
    """The tree on a day, and all units over time as they are, or were, known."""

    tree: Tree
    lines: Mapping[str, Line]


@dataclass(frozen=True)
class _Known:
    """All units as they are known at an instant, and the days on which something changes."""

    lines: Mapping[str, Line]
    days: tuple[date, ...]


class Trees:
    """Answers for the tree on a day. What was computed is kept until a unit is told of anew."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._known: OrderedDict[tuple[str, tuple[int, int]], _Known] = OrderedDict()
        self._trees: OrderedDict[tuple[str, tuple[int, int], int, frozenset[str]], Tree] = OrderedDict()

    async def on(
        self, conn: Connection, organisation: str, day: date, *, today: date, known: datetime | None = None
    ) -> AsOf:
        """Return the tree of a day; who is in closed units is known for today alone, and counts for it and later."""
        found, seen = await self._lines(conn, organisation, known)
        closed = [unit for unit, line in found.lines.items() if line.valid_to is not None and line.valid_to < day]
        occupied = frozenset[str]()
        if closed and day >= today and known is None:
            occupied = frozenset(await units.occupied(conn, organisation, closed))
        key = (organisation, seen, bisect_right(found.days, day), occupied)
        if key not in self._trees:
            self._trees[key] = tree(found.lines, day, occupied)
            if len(self._trees) > KEPT:
                self._trees.popitem(last=False)
        self._trees.move_to_end(key)
        return AsOf(self._trees[key], found.lines)

    async def _lines(
        self, conn: Connection, organisation: str, known: datetime | None
    ) -> tuple[_Known, tuple[int, int]]:
        lines, seen = await self._history.lines(conn, organisation, known)
        key = (organisation, seen)
        if key not in self._known:
            days = sorted({day for line in lines.values() for day in line.boundaries})
            self._known[key] = _Known(lines, tuple(days))
            if len(self._known) > KEPT:
                self._known.popitem(last=False)
        return self._known[key], seen
