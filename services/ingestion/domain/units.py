"""Units as HR records them: folded like persons, but with one list of fields. orgtree says what is in effect."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from uuid import UUID

from contracts.base import Message
from contracts.hr import HrUnitRecorded
from contracts.person import UnitRecord
from services.ingestion.domain.facts import FactOrder
from services.ingestion.domain.projection import References
from services.ingestion.domain.rules import EARLIEST, Violation

FIELDS = ("name", "parent", "manager", "kind", "site", "cost_centre", "mail_domain", "valid_from", "valid_to")


@dataclass(frozen=True)
class UnitFact:
    """A unit as a source saw it."""

    order: FactOrder
    data: HrUnitRecorded


class UnitState(Message):
    """A unit as told so far; `manager` is an external id of `manager_source`."""

    last: FactOrder | None = None
    name: str | None = None
    parent: str | None = None
    manager: str | None = None
    manager_source: str | None = None
    kind: str | None = None
    site: str | None = None
    cost_centre: str | None = None
    mail_domain: str | None = None
    valid_from: date | None = None
    valid_to: date | None = None

    def references(self) -> set[tuple[str, str]]:
        """Return the (source, external id) of the manager, when there is one."""
        return {(self.manager_source, self.manager)} if self.manager and self.manager_source else set()

    def precedes(self, fact: UnitFact) -> bool:
        """Tell whether `fact` comes after all that is folded in."""
        return self.last is None or self.last.key < fact.order.key


@dataclass(frozen=True)
class UnitDossier:
    """Everything the ledger knows of one unit."""

    unit: str
    revision: int = 0
    state: UnitState = field(default_factory=UnitState)
    record: UnitRecord | None = None


@dataclass(frozen=True)
class UnitRevision:
    """One version of a unit, gapless from 1."""

    unit: str
    number: int
    record: UnitRecord
    event_id: UUID


def fold_unit(state: UnitState, fact: UnitFact) -> UnitState:
    """Fold one fact on top of a state that precedes it."""
    changes: dict[str, Any] = {name: getattr(fact.data, name) for name in FIELDS if fact.data.says(name)}
    if "manager" in changes:
        changes["manager_source"] = fact.order.source
    return state.model_copy(update={"last": fact.order, **changes})


def fold_all_units(facts: Iterable[UnitFact]) -> UnitState:
    """Return what a set of facts amounts to, in any order."""
    state = UnitState()
    unique = {(fact.order.source, fact.order.event_id): fact for fact in facts}
    for fact in sorted(unique.values(), key=lambda fact: fact.order.key):
        state = fold_unit(state, fact)
    return state


def unit_violations(state: UnitState) -> list[Violation]:
    """Judge the state that a fact would lead to."""
    found = []
    if state.name is None:
        found.append(Violation("/data/name", "unit.name_missing", "a new unit needs a name"))
    if state.valid_from is None:
        found.append(Violation("/data/validFrom", "unit.start_missing", "a new unit needs validFrom"))
    elif state.valid_from < EARLIEST:
        found.append(Violation("/data/validFrom", "date.implausible", "the date is before 1900"))
    if state.valid_from and state.valid_to and state.valid_to < state.valid_from:
        found.append(Violation("/data/validTo", "unit.end_before_start", "validTo is before validFrom"))
    return found


def project_unit(state: UnitState, references: References) -> UnitRecord:
    """Return the unit as it travels.

    Raises:
        ValueError: The state lacks what every unit has.
    """
    if state.name is None or state.valid_from is None:
        raise ValueError("a unit needs a name and a start")
    manager = references[state.manager_source, state.manager] if state.manager and state.manager_source else None
    return UnitRecord(
        name=state.name,
        parent=state.parent,
        manager=manager,
        kind=state.kind,
        site=state.site,
        cost_centre=state.cost_centre,
        mail_domain=state.mail_domain,
        valid_from=state.valid_from,
        valid_to=state.valid_to,
    )
