"""What a unit is on each day of its life, from HR's record of it. Pure."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property
from uuid import UUID

from contracts.person import UnitChange, UnitRecord

_DATED = ("name", "parent", "manager", "acting_manager", "kind", "site", "cost_centre", "mail_domain")


@dataclass(frozen=True)
class Fields:
    """What HR says of a unit on a day."""

    name: str
    parent: str | None = None
    manager: UUID | None = None
    acting_manager: UUID | None = None
    kind: str | None = None
    site: str | None = None
    cost_centre: str | None = None
    mail_domain: str | None = None

    @property
    def named(self) -> tuple[UUID, ...]:
        """Who is named to lead it: who acts goes before whom they act for."""
        return tuple(person for person in (self.acting_manager, self.manager) if person is not None)


@dataclass(frozen=True)
class Line:
    """A unit over time: `steps` are the days on which something changes, and what holds from then on.

    Before its first step a unit was what the first one says. `revision` is that of the record it comes from.
    """

    unit: str
    revision: int
    valid_from: date
    valid_to: date | None
    steps: tuple[tuple[date, Fields], ...]
    successors: tuple[str, ...] = ()

    @classmethod
    def of(cls, unit: str, revision: int, record: UnitRecord) -> "Line":
        """Read a record: what held before, what holds, and what is planned."""
        holds = Fields(**{name: getattr(record, name) for name in _DATED})
        steps = tuple(_steps(holds, (*record.earlier, *record.changes), record.valid_from))
        return cls(unit, revision, record.valid_from, record.valid_to, steps, record.successors)

    @cached_property
    def days(self) -> tuple[date, ...]:
        """The days of the steps."""
        return tuple(day for day, _ in self.steps)

    @property
    def boundaries(self) -> tuple[date, ...]:
        """The days on which something about it changes: its first, those of its steps, the one after its last."""
        end = () if self.valid_to is None else (self.valid_to + timedelta(days=1),)
        return (self.valid_from, *self.days, *end)

    def on(self, day: date) -> Fields:
        """Return what the unit is on a day, whether it is there by then or not."""
        return self.steps[max(0, bisect_right(self.days, day) - 1)][1]

    def before(self, day: date) -> tuple[date, Fields] | None:
        """Return since when, and what, the unit was before what it is on a day; None when it was nothing."""
        index = bisect_right(self.days, day) - 2
        return self.steps[index] if index >= 0 else None

    def since(self, day: date) -> date:
        """Return since when the unit is what it is on a day."""
        return self.days[max(0, bisect_right(self.days, day) - 1)]

    def holds(self, day: date) -> bool:
        """Tell whether it is there on a day."""
        return self.valid_from <= day and (self.valid_to is None or day <= self.valid_to)

    @property
    def named(self) -> frozenset[UUID]:
        """Everybody who leads it at some time."""
        return frozenset(person for _, fields in self.steps for person in fields.named)


def _steps(holds: Fields, changes: Iterable[UnitChange], first: date) -> list[tuple[date, Fields]]:
    """Return the steps in their order; a field that is told of later only is until then what the record says."""
    told: dict[date, dict[str, object]] = {first: {}}
    for change in changes:
        told.setdefault(change.effective_from, {}).update(_said(change))
    found, present = [], holds
    for day in sorted(told):
        present = replace(present, **told[day])  # type: ignore[arg-type]
        found.append((day, present))
    return found


def _said(change: UnitChange) -> Mapping[str, object]:
    return {name: getattr(change, name) for name in _DATED if change.says(name)}
