"""The organisation's tree as HR records it, over time: circles, units left below a closed one, parents first."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from services.ingestion.domain.units import UnitDossier

DAY = timedelta(days=1)


@dataclass(frozen=True)
class UnitPlace:
    """Where a unit stands: below which one from which day on (the first entry: before all dates), and how long.

    `told`: it has been told to the others.
    """

    told: bool
    moves: tuple[tuple[date, str | None], ...]
    first: date | None
    last: date | None

    @classmethod
    def read(
        cls,
        told: bool,
        parent: str | None,
        first: str | None,
        last: str | None,
        moves: Iterable[tuple[date, str | None]],
    ) -> "UnitPlace":
        """Return the place of a stored unit, whose dates are texts."""
        return cls(
            told,
            ((date.min, parent), *moves),
            date.fromisoformat(first) if first else None,
            date.fromisoformat(last) if last else None,
        )

    @classmethod
    def of(cls, unit: UnitDossier) -> "UnitPlace":
        """Return the place of a unit as folded."""
        state = unit.state
        moves = ((one.effective_from, one.value) for one in state.plans if one.field == "parent")
        return cls(unit.record is not None, ((date.min, state.parent), *moves), state.valid_from, state.valid_to)

    def above(self, day: date) -> str | None:
        """Return the unit above on a day."""
        return next(parent for since, parent in reversed(self.moves) if since <= day)

    def holds(self, day: date) -> bool:
        """Tell whether the unit is open on a day."""
        return (self.first is None or self.first <= day) and (self.last is None or day <= self.last)


Places = Mapping[str, UnitPlace]
"""Every unit of an organisation, by its id."""


def known(places: Places, today: date) -> set[str]:
    """Return the units that are told of, or can be: all but who waits for an unknown one, and who stands below that."""
    found = {unit for unit, place in places.items() if place.told}
    for unit in parents_first(places.keys() - found, places, today):
        above = places[unit].above(today)
        if above is None or above in found:
            found.add(unit)
    return found


def days(places: Places, today: date) -> list[date]:
    """Return today and every later day on which a unit moves, in order."""
    return sorted({today, *(since for place in places.values() for since, _ in place.moves if since > today)})


def circle(places: Places, unit: str, moving: Iterable[date]) -> tuple[date, list[str]] | None:
    """Return the first of some days (`days`) on which a unit is above itself, and the units on the way; None: never.

    What was before today is as it was: words without a date have none for the past, and would meet dated ones there.
    """
    for day in moving:
        way = [unit]
        while (above := places[way[-1]].above(day)) is not None and above in places and above not in way:
            way.append(above)
        if above == unit:
            return day, [*way, unit]
    return None


def stranded(places: Places, unit: str, today: date) -> date | None:
    """Return the first day from `today` on on which a unit is open and the one above it has closed; None: never."""
    place = places[unit]
    starts = [max(today, place.first or today), *(since for since, _ in place.moves if since > today)]
    for start, end in zip(starts, [*starts[1:], None], strict=True):
        above = places.get(place.above(start) or "")
        if above is None or above.last is None:
            continue
        day = max(start, above.last + DAY)
        if (end is None or day < end) and place.holds(day):
            return day
    return None


def loose(places: Places, today: date) -> dict[str, list[str]]:
    """Return the units that stay open below a closed one (`stranded`), in order, by the one that closes."""
    found: dict[str, list[str]] = {}
    for unit in sorted(places) if any(place.last for place in places.values()) else ():
        day = stranded(places, unit, today)
        if day is not None:
            found.setdefault(places[unit].above(day) or "", []).append(unit)
    return found


def parents_first(units: Collection[str], places: Places, today: date) -> list[str]:
    """Return units in an order in which each comes after the one above it, as of today."""
    ordered: dict[str, None] = {}
    for unit in sorted(units):
        way: list[str] = []
        here: str | None = unit
        while here is not None and here in places and here not in ordered and here not in way:
            way.append(here)
            here = places[here].above(today)
        ordered |= dict.fromkeys(reversed(way))
    return [unit for unit in ordered if unit in units]
