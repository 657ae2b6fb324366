"""Units as HR records them: folded like persons, each field with the dates it was told for.

orgtree says what is in effect.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from contracts.base import Message
from contracts.hr import NO_END, HrUnitRecorded
from contracts.person import UnitRecord
from services.ingestion.domain.facts import FactOrder
from services.ingestion.domain.rules import EARLIEST, Violation
from services.kernel.clock import start_of_day

DATED = ("name", "parent", "manager", "acting_manager", "kind", "site", "cost_centre", "mail_domain")
"""Fields that may be told to hold from a date on."""

LEADERS = ("manager", "acting_manager")
"""Fields that hold a person, by the id of a source; which source stands in the field `<name>_source`."""

AT_ONCE = ("valid_from", "valid_to", "successors")
"""Fields that are dates themselves, or belong to one: they hold as soon as they are told."""

KEPT_HERE = "urn:stafett:organisation"
"""The source of what an organisation says of its units here. No token is bound to it."""

FOLDING = 1
"""How facts are folded. A state that was folded otherwise lacks something, and is folded anew before it is used."""


def leaders(data: HrUnitRecorded, source: str) -> set[tuple[str, str]]:
    """Return the (source, external id) of everybody whom a word of a source about a unit names."""
    named = (getattr(data, name) for name in LEADERS)
    return {(data.manager_source or source, one) for one in named if one is not None}


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

    @property
    def leaders(self) -> set[tuple[str, str]]:
        """The (source, external id) of everybody whom it names."""
        return leaders(self.data, self.order.source)


class Planned(Message):
    """A field's value from a local date on; who leads it is an external id of `source`."""

    effective_from: date
    field: str
    value: str | None
    source: str | None = None


class Former(Message):
    """A field's value that held before a local date; from then on there was a word without a date."""

    until: date
    field: str
    value: str | None
    source: str | None = None


class Held(NamedTuple):
    """A field's value from a local date on; who leads the unit is an external id of `source`."""

    since: date
    value: str | None
    source: str | None

    def goes_on(self, other: "Held") -> bool:
        """Tell whether `other` says the same for a later date."""
        return self.value == other.value and (self.value is None or self.source == other.source)


class UnitState(Message):
    """A unit as told so far; who leads it is an external id of a source.

    A field is what the last of `plans` up to a date says, else what the first of `former` after it says, else what
    stands in the field itself.
    """

    folding: int = 0
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
    former: tuple[Former, ...] = ()

    def references(self) -> set[tuple[str, str]]:
        """Return the (source, external id) of everybody who leads it at some time."""
        held = {(getattr(self, f"{name}_source"), getattr(self, name)) for name in LEADERS}
        held |= {(one.source, one.value) for one in self.plans if one.field in LEADERS}
        held |= {(one.source, one.value) for one in self.former if one.field in LEADERS}
        return {(source, person) for source, person in held if source is not None and person is not None}

    def precedes(self, fact: UnitFact) -> bool:
        """Tell whether `fact` comes after all that is folded in."""
        return self.last is None or self.last.key < fact.order.key

    def course(self, name: str) -> list[Held]:
        """Return the values of a dated field in their order; the first holds from before all dates."""
        plans = [one for one in self.plans if one.field == name]
        former = [one for one in self.former if one.field == name]
        found = [self._held(name, date.min, plans, former)]
        for day in sorted({*(one.effective_from for one in plans), *(one.until for one in former)}):
            held = self._held(name, day, plans, former)
            if not found[-1].goes_on(held):
                found.append(held)
        return found

    def _held(self, name: str, day: date, plans: Sequence[Planned], former: Sequence[Former]) -> Held:
        planned = next((one for one in reversed(plans) if one.effective_from <= day), None)
        one = planned or next((one for one in former if day < one.until), None)
        if one is not None:
            return Held(day, one.value, one.source)
        return Held(day, getattr(self, name), getattr(self, f"{name}_source") if name in LEADERS else None)

    def on(self, day: date) -> "UnitState":
        """Return the unit as it is on a local day, with what comes on days after it."""
        if not self.plans and not self.former:
            return self
        said: dict[str, Any] = {}
        later: list[Planned] = []
        for name in DATED:
            for held in self.course(name):
                if held.since > day:
                    later.append(Planned(effective_from=held.since, field=name, value=held.value, source=held.source))
                else:
                    said |= {name: held.value} | ({f"{name}_source": held.source} if name in LEADERS else {})
        later.sort(key=_in_order)
        return self.model_copy(update={**said, "plans": tuple(later), "former": ()})

    def learned(self, today: date) -> "UnitState":
        """Return what is known today: a word without a date holds at once, though its source's clock is ahead."""
        if all(one.until <= today for one in self.former):
            return self
        former = tuple(one.model_copy(update={"until": min(one.until, today)}) for one in self.former)
        return self.model_copy(update={"former": former})

    def dates(self) -> list[date]:
        """Return the days from which something is planned, in order."""
        return sorted({one.effective_from for one in self.plans})

    def parents(self, day: date) -> Iterator[tuple[date, str | None]]:
        """Yield the unit above on `day`, and every other one from its date on."""
        now = self.on(day)
        yield day, now.parent
        yield from ((one.effective_from, one.value) for one in now.plans if one.field == "parent")


def _in_order(one: Planned) -> tuple[date, int]:
    return one.effective_from, DATED.index(one.field)


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
    the first word of a unit: it has nothing to change. What held before a word without a date is kept as it was; a date
    that is told of later has the word for the days from it on.
    """
    data = fact.data
    said: dict[str, Any] = {name: getattr(data, name) for name in AT_ONCE if data.says(name)}
    dated = {name: getattr(data, name) for name in DATED if data.says(name)}
    day, first = data.effective_from, said.get("valid_from", state.valid_from)
    if day is not None and state.last is not None and (first is None or day > first):
        kept = [one for one in state.plans if one.field not in dated or one.effective_from != day]
        told = [
            Planned(effective_from=day, field=name, value=value, source=_source(fact, name))
            for name, value in dated.items()
        ]
        plans, former = sorted((*kept, *told), key=_in_order), list(state.former)
    else:
        taken_back = data.says("effective_from") and day is None
        since = date.max if taken_back else day or fact.day
        plans = [one for one in state.plans if one.field not in dated or one.effective_from > since]
        former = [one for one in state.former if one.field not in dated]
        if state.last is not None and day is None:
            now = {name: Held(fact.day, dated[name], _source(fact, name)) for name in DATED if name in dated}
            former += [one for name, held in now.items() for one in _until(state, name, held)]
        said |= dated
        said |= {f"{name}_source": fact.manager_source for name in LEADERS if name in dated}
    update = {"folding": FOLDING, "last": fact.order, **said, "plans": tuple(plans), "former": tuple(former)}
    return state.model_copy(update=update)


def _source(fact: UnitFact, name: str) -> str | None:
    return fact.manager_source if name in LEADERS else None


def _until(state: UnitState, name: str, now: Held) -> list[Former]:
    """Return what a field was before a word that holds from its day on; a unit was never without a name."""
    before = [held for held in state.course(name) if held.since < now.since]
    ends = [*(held.since for held in before[1:]), now.since]
    if before[-1].goes_on(now):
        before, ends = before[:-1], ends[:-1]
    return [
        Former(until=end, field=name, value=held.value, source=held.source)
        for held, end in zip(before, ends, strict=True)
        if name != "name" or held.value is not None
    ]


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


def unknown_parents(state: UnitState, day: date, known: Collection[str]) -> tuple[str, ...]:
    """Return the units above, today or by plan, that are not known."""
    return tuple(sorted({parent for _, parent in state.parents(day) if parent is not None and parent not in known}))


def next_date(state: UnitState, day: date, zone: ZoneInfo) -> datetime | None:
    """Return the instant (UTC) at which the next plan after `day` is reached: local midnight."""
    return next((start_of_day(one, zone) for one in state.dates() if one > day), None)
