"""Units as HR records them: folded like persons, each field with the dates it was told for.

orgtree says what is in effect.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from contracts.base import Message
from contracts.hr import NO_END, HrUnitRecorded
from contracts.person import UnitChange, UnitRecord
from services.ingestion.domain.facts import FactOrder
from services.ingestion.domain.projection import References
from services.ingestion.domain.rules import EARLIEST, Violation
from services.kernel.clock import start_of_day

DATED = ("name", "parent", "manager", "acting_manager", "kind", "site", "cost_centre", "mail_domain")
"""Fields that may be told to hold from a date on."""

LEADERS = ("manager", "acting_manager")
"""Fields that hold a person, by the id of a source; which source stands in the field `<name>_source`."""

AT_ONCE = ("valid_from", "valid_to", "successors")
"""Fields that are dates themselves, or belong to one: they hold as soon as they are told."""


@dataclass(frozen=True)
class UnitFact:
    """A unit as a source saw it on the local `day` of its assertion."""

    order: FactOrder
    day: date
    data: HrUnitRecorded

    @property
    def manager_source(self) -> str:
        """The source whose ids those who lead it are."""
        return self.data.manager_source or self.order.source


class Planned(Message):
    """A field's value from a local date on; who leads it is an external id of `source`."""

    effective_from: date
    field: str
    value: str | None
    source: str | None = None


class UnitState(Message):
    """A unit as told so far; who leads it is an external id of a source. `plans` hold from their dates on."""

    last: FactOrder | None = None
    name: str | None = None
    parent: str | None = None
    manager: str | None = None
    manager_source: str | None = None
    acting_manager: str | None = None
    acting_manager_source: str | None = None
    kind: str | None = None
    site: str | None = None
    cost_centre: str | None = None
    mail_domain: str | None = None
    valid_from: date | None = None
    valid_to: date | None = None
    successors: tuple[str, ...] = ()
    plans: tuple[Planned, ...] = ()

    def references(self) -> set[tuple[str, str]]:
        """Return the (source, external id) of everybody who leads it, in effect or planned."""
        held = {(getattr(self, f"{name}_source"), getattr(self, name)) for name in LEADERS}
        planned = {(one.source, one.value) for one in self.plans if one.field in LEADERS}
        return {
            (source, person) for source, person in held | planned if source is not None and person is not None
        }  # fmt: skip

    def precedes(self, fact: UnitFact) -> bool:
        """Tell whether `fact` comes after all that is folded in."""
        return self.last is None or self.last.key < fact.order.key

    def on(self, day: date) -> "UnitState":
        """Return the unit as it is on a local day, with what is planned for days after it."""
        said: dict[str, Any] = {}
        for one in self.plans:
            if one.effective_from <= day:
                said |= _held(one)
        later = tuple(one for one in self.plans if one.effective_from > day)
        return self.model_copy(update={**said, "plans": later})

    def dates(self) -> list[date]:
        """Return the days from which something is planned, in order."""
        return sorted({one.effective_from for one in self.plans})

    def parents(self, day: date) -> Iterator[tuple[date, str | None]]:
        """Yield the unit above on `day`, and every other one from its date on."""
        now = self.on(day)
        yield day, now.parent
        yield from ((one.effective_from, one.value) for one in now.plans if one.field == "parent")


def _held(one: Planned) -> dict[str, str | None]:
    return {one.field: one.value} | ({f"{one.field}_source": one.source} if one.field in LEADERS else {})


@dataclass(frozen=True)
class UnitDossier:
    """Everything the ledger knows of one unit.

    `waits_for`: units above it, today or by plan, that nobody has been told of; what names them is not told yet.
    """

    unit: str
    revision: int = 0
    state: UnitState = field(default_factory=UnitState)
    record: UnitRecord | None = None
    waits_for: tuple[str, ...] = ()
    next_boundary: datetime | None = None


@dataclass(frozen=True)
class UnitRevision:
    """One version of a unit, gapless from 1."""

    unit: str
    number: int
    record: UnitRecord
    event_id: UUID


def fold_unit(state: UnitState, fact: UnitFact) -> UnitState:
    """Fold one fact on top of a state that precedes it.

    A field's value on a day is what was told for the latest date up to it, whenever that was told; of the same date the
    later word stands. A word without a date holds at once and ends what was to hold from its own day or before, but not
    what is planned for later days: a nightly snapshot knows nothing of them. With `effectiveFrom` null it takes them
    back, for the fields that it names. A date that is not after the unit's first day is from the beginning, and so is
    the first word of a unit: it has nothing to change.
    """
    data = fact.data
    said: dict[str, Any] = {name: getattr(data, name) for name in AT_ONCE if data.says(name)}
    dated = {name: getattr(data, name) for name in DATED if data.says(name)}
    day, first = data.effective_from, said.get("valid_from", state.valid_from)
    if day is not None and state.last is not None and (first is None or day > first):
        kept = [one for one in state.plans if one.field not in dated or one.effective_from != day]
        told = [
            Planned(
                effective_from=day, field=name, value=value, source=fact.manager_source if name in LEADERS else None
            )
            for name, value in dated.items()
        ]
        plans = sorted((*kept, *told), key=lambda one: (one.effective_from, DATED.index(one.field)))
    else:
        taken_back = data.says("effective_from") and day is None
        since = date.max if taken_back else day or fact.day
        plans = [one for one in state.plans if one.field not in dated or one.effective_from > since]
        said |= dated
        said |= {f"{name}_source": fact.manager_source for name in LEADERS if name in dated}
    return state.model_copy(update={"last": fact.order, **said, "plans": tuple(plans)})


def fold_all_units(facts: Iterable[UnitFact]) -> UnitState:
    """Return what a set of facts amounts to, in any order."""
    state = UnitState()
    unique = {(fact.order.source, fact.order.event_id): fact for fact in facts}
    for fact in sorted(unique.values(), key=lambda fact: fact.order.key):
        state = fold_unit(state, fact)
    return state


def unit_violations(state: UnitState, fact: UnitFact) -> list[Violation]:
    """Judge a fact and the state that it would lead to."""
    found = []
    day = fact.data.effective_from
    if day is not None and not EARLIEST <= day < NO_END:
        found.append(Violation("/data/effectiveFrom", "date.implausible", "the date is before 1900, or is no date"))
    if state.name is None:
        found.append(Violation("/data/name", "unit.name_missing", "a new unit needs a name"))
    if state.valid_from is None:
        found.append(Violation("/data/validFrom", "unit.start_missing", "a new unit needs validFrom"))
    elif state.valid_from < EARLIEST:
        found.append(Violation("/data/validFrom", "date.implausible", "the date is before 1900"))
    if state.valid_from and state.valid_to and state.valid_to < state.valid_from:
        found.append(Violation("/data/validTo", "unit.end_before_start", "validTo is before validFrom"))
    if fact.data.says("successors") and state.successors and state.valid_to is None:
        found.append(Violation("/data/successors", "unit.end_missing", "a unit with successors needs validTo"))
    return found


def project_unit(
    state: UnitState, references: References, day: date, known: Collection[str], before: UnitRecord | None
) -> UnitRecord | None:
    """Return the unit as it travels on a local `day`; None: nothing can be told of it yet.

    A unit above that is not in `known` is not told of: the unit stays where it was told to be (`before`), a plan is
    left out, and a unit of which nothing was told waits as a whole.

    Raises:
        ValueError: The state lacks what every unit has.
    """
    now = state.on(day)
    if now.name is None or now.valid_from is None:
        raise ValueError("a unit needs a name and a start")
    parent = now.parent
    if parent is not None and parent not in known:
        if before is None:
            return None
        parent = before.parent
    values: dict[str, Any] = {name: getattr(now, name) for name in (*DATED, *AT_ONCE)}
    values |= {"parent": parent}
    values |= {name: _person(getattr(now, f"{name}_source"), values[name], references) for name in LEADERS}
    changes = tuple(_changes(now, values, references, known))
    return UnitRecord(**values, changes=changes)


def _changes(
    now: UnitState, values: Mapping[str, Any], references: References, known: Collection[str]
) -> Iterator[UnitChange]:
    current = dict(values)
    for day in now.dates():
        said: dict[str, Any] = {}
        for one in now.plans:
            if one.effective_from != day or (
                one.field == "parent" and one.value is not None and one.value not in known
            ):
                continue
            value = _person(one.source, one.value, references) if one.field in LEADERS else one.value
            if value != current[one.field]:
                said[one.field] = value
        if said:
            current |= said
            yield UnitChange(effective_from=day, **said)


def _person(source: str | None, external_id: str | None, references: References) -> UUID | None:
    return references[source, external_id] if source is not None and external_id is not None else None


def unknown_parents(state: UnitState, day: date, known: Collection[str]) -> tuple[str, ...]:
    """Return the units above, today or by plan, that are not known."""
    return tuple(sorted({parent for _, parent in state.parents(day) if parent is not None and parent not in known}))


def next_date(state: UnitState, day: date, zone: ZoneInfo) -> datetime | None:
    """Return the instant (UTC) at which the next plan after `day` is reached: local midnight."""
    return next((start_of_day(one, zone) for one in state.dates() if one > day), None)
