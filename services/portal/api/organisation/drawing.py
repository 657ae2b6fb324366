"""Where everything stands in a picture of units below each other: one row a unit, folded where it is too much. Pure."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from services.portal.api.organisation.views import Unit

ROWS = 400
"""So many units can be read in one picture; those further below are counted and not drawn."""

MARGIN, HEAD = 24, 76
ROW, BOX, INDENT = 34, 26, 28
LETTER, NARROWEST, LONGEST = 8.8, 120, 56
NOTE = 460
"""Room beside the widest box, for what is said of a unit."""


@dataclass(frozen=True)
class Box:
    """A unit in the picture.

    Attributes:
        marks: What happens to it, the weightiest first.
        folded: How many units below it are not drawn.
    """

    unit: Unit
    label: str
    x: int
    y: int
    width: int
    marks: tuple[str, ...] = ()
    folded: int = 0


@dataclass(frozen=True)
class Picture:
    """A picture of units; `lines` are paths (SVG 2, section 9.3) from each unit to those below it."""

    boxes: tuple[Box, ...]
    lines: tuple[str, ...]
    width: int
    height: int
    folded: int = field(default=0)


def picture(
    units: Sequence[Unit],
    *,
    rows: int = ROWS,
    only: Collection[str] | None = None,
    marks: Mapping[str, tuple[str, ...]] | None = None,
) -> Picture:
    """Draw units, of which each comes after the one above it, to the depth at which they are at most `rows`.

    Args:
        units: What is drawn, from the top.
        rows: How many units can be read; the topmost are always drawn.
        only: Units that are drawn with those above them, and no others; None: all.
        marks: What happens to units.
    """
    chosen = units if only is None else _with_those_above(units, only)
    wanted = {one.unit for one in _down_to(chosen, _depth(chosen, rows))}
    boxes, lines, way = list[Box](), list[str](), list[int]()
    folded: Counter[int] = Counter()
    top = min((one.depth for one in units), default=1)
    for one in units:
        while way and boxes[way[-1]].unit.depth >= one.depth:
            way.pop()
        if one.unit not in wanted:
            folded[way[-1] if way else -1] += 1
            continue
        box = _box(one, one.depth - top, len(boxes), (marks or {}).get(one.unit, ()))
        if way and boxes[way[-1]].unit.unit == one.parent:
            lines.append(_line(boxes[way[-1]], box))
        way.append(len(boxes))
        boxes.append(box)
    return _framed(boxes, lines, folded)


def _with_those_above(units: Sequence[Unit], only: Collection[str]) -> list[Unit]:
    parents = {one.unit: one.parent for one in units}
    found: set[str] = set()
    for unit in only:
        above: str | None = unit
        while above in parents and above not in found:
            found.add(above)
            above = parents[above]
    return [one for one in units if one.unit in found]


def _depth(units: Sequence[Unit], rows: int) -> int:
    """Return down to which depth units are at most `rows`; the first depth there is, if not even those are."""
    counts = sorted(Counter(one.depth for one in units).items())
    sums = accumulate(count for _, count in counts)
    fitting = [depth for (depth, _), so_far in zip(counts, sums, strict=True) if so_far <= rows]
    return fitting[-1] if fitting else min((depth for depth, _ in counts), default=1)


def _down_to(units: Sequence[Unit], depth: int) -> Iterator[Unit]:
    return (one for one in units if one.depth <= depth)


def _box(unit: Unit, level: int, row: int, marks: tuple[str, ...]) -> Box:
    name = _drawable(unit.name)
    label = name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
    width = max(NARROWEST, round(len(label) * LETTER) + 24)
    return Box(unit, label, MARGIN + level * INDENT, HEAD + row * ROW, width, marks)


def _line(above: Box, below: Box) -> str:
    x, start, end = above.x + INDENT // 2, above.y + BOX, below.y + BOX // 2
    return f"M{x} {start}V{end}H{below.x}"


def _framed(boxes: Sequence[Box], lines: Sequence[str], folded: Mapping[int, int]) -> Picture:
    shown = tuple(
        Box(box.unit, box.label, box.x, box.y, box.width, box.marks, folded.get(row, 0))
        for row, box in enumerate(boxes)
    )
    right = max((box.x + box.width for box in boxes), default=0)
    return Picture(shown, tuple(lines), right + NOTE + MARGIN, HEAD + len(boxes) * ROW + MARGIN, sum(folded.values()))


def _drawable(text: str) -> str:
    """Return text as XML may hold it (XML 1.0, section 2.2)."""
    return "".join(one for one in text if " " <= one <= "\ud7ff" or "\ue000" <= one <= "\ufffd" or one >= "\U00010000")
