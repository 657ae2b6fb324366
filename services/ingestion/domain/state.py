"""What HR has said about a person, folded; field by field as HR said it, with the assertions that set each end.

Objects merge and lists replace, as in JSON Merge Patch (RFC 7396): a field that is left out keeps its value, null
clears it, false is false. An employment that is left out keeps standing.
"""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any, Self, TypeVar

from pydantic import Field

from contracts.base import Message
from contracts.codes import EndReason, Form, Protection
from contracts.hr import (
    HrAbsence,
    HrAssignment,
    HrContact,
    HrEmployment,
    HrIdentifier,
    HrName,
    HrPersonRecorded,
    HrTerms,
    stated_end,
)
from contracts.person import Access
from services.ingestion.domain.access import AccessDecided, decided
from services.ingestion.domain.facts import Fact, FactOrder, in_order
from services.ingestion.domain.merging import Lists, whole

Value = TypeVar("Value", bound=Message)
Dated = TypeVar("Dated", HrAssignment, HrAbsence)


class EmploymentState(Message):
    """One employment as its source has described it so far; external ids are the source's.

    `end_stated_at`, `dismissed_at` and `cancelled_at` are when the source first asserted what now holds;
    `dismissed_at` also dates a death that is told as the employment's end. `stated_at`: when the first fact that named
    the employment was asserted.
    """

    source: str
    person: str
    id: str
    baseline: bool = False
    stated_at: datetime | None = None
    form: Form | None = None
    valid_from: date | None = None
    valid_to: date | None = None
    end_stated_at: datetime | None = None
    end_reason: EndReason | None = None
    dismissed_at: datetime | None = None
    cancelled_at: datetime | None = None
    employee_number: str | None = None
    extent: float | None = None
    sponsor: str | None = None
    assignments: tuple[HrAssignment, ...] = ()
    absences: tuple[HrAbsence, ...] = ()
    terms: HrTerms | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        """The employment's identity at its source."""
        return (self.source, self.person, self.id)

    def references(self) -> set[tuple[str, str]]:
        """Return the (source, external id) of every person that is mentioned."""
        people = {assignment.manager for assignment in self.assignments} | {self.sponsor}
        return {(self.source, person) for person in people if person is not None}


class PersonState(Message):
    """A person as told so far. `last` is the newest fact that is folded in.

    `protection` is the strongest of what each source says under each of its ids (`protections`): one that knows nothing
    of it does not lift it.

    `basis`: what facts amounted to that are not kept any more; the others are folded on top of it.
    """

    last: FactOrder | None = None
    name: HrName | None = None
    birth_date: date | None = None
    identifiers: tuple[HrIdentifier, ...] = ()
    protection: Protection = Protection.NONE
    protections: dict[str, Protection] = Field(default_factory=dict, exclude_if=lambda said: not said)
    deceased_on: date | None = None
    deceased_stated_at: datetime | None = None
    private_contact: HrContact | None = None
    access: Access | None = None
    employments: tuple[EmploymentState, ...] = ()
    basis: Self | None = Field(default=None, exclude_if=lambda basis: basis is None)

    def employment(self, key: tuple[str, str, str]) -> EmploymentState | None:
        """Return the employment with that identity."""
        return next((employment for employment in self.employments if employment.key == key), None)

    def references(self) -> set[tuple[str, str]]:
        """Return the (source, external id) of every manager and sponsor that is mentioned."""
        return {reference for employment in self.employments for reference in employment.references()}

    @property
    def tellable(self) -> bool:
        """Whether enough is told for a record: a name, and of each employment a form and a start."""
        return self.name is not None and all(one.form and one.valid_from for one in self.employments)

    def precedes(self, fact: Fact) -> bool:
        """Tell whether `fact` comes after all that is folded in, so that it can be folded on top."""
        return self.last is None or self.last.key < fact.order.key


def fold_all(facts: Iterable[Fact], basis: PersonState | None = None) -> PersonState:
    """Return what a set of facts amounts to: the same for any order and any repetition of them.

    Facts that do not come after all that is in `basis` change nothing: they are in it, or what they belong among is no
    longer known.
    """
    state = PersonState() if basis is None else basis.model_copy(update={"basis": basis})
    for fact in in_order(facts):
        if basis is None or basis.precedes(fact):
            state = fold(state, fact)
    return state


def fold(state: PersonState, fact: Fact) -> PersonState:
    """Fold one fact on top of a state that precedes it."""
    order, data = fact.order, fact.data
    changes: dict[str, Any] = {"last": order}
    if isinstance(data, AccessDecided):
        changes["access"] = decided(state.access, data, order.asserted_at)
        return state.model_copy(update=changes)
    if fact.change is not None:
        data = whole(fact.change, _lists(state, fact.source, data))
    changes |= {name: getattr(data, name) for name in ("birth_date", "identifiers") if data.says(name)}
    if data.says("protection"):
        changes |= _protected(state, fact.source, data)
    for name in ("name", "private_contact"):
        if data.says(name):
            changes[name] = _merged(getattr(state, name), getattr(data, name))
    if data.says("deceased_on"):
        changes["deceased_on"] = data.deceased_on
        changes["deceased_stated_at"] = _since(data.deceased_on is not None, state.deceased_stated_at, order)
    if data.says("employments"):
        changes["employments"] = _fold_employments(state, fact.source, data, order)
    return state.model_copy(update=changes)


def _protected(state: PersonState, source: str, data: HrPersonRecorded) -> dict[str, Any]:
    told, key = dict(state.protections), f"{source} {data.external_id}"
    if not told and state.protection is not Protection.NONE and state.last is not None:
        # from before it was kept by source: whoever told last told it
        told[f"{state.last.source} {data.external_id}"] = state.protection
    told[key] = data.protection
    said = {one: level for one, level in told.items() if level is not Protection.NONE}
    return {"protections": said, "protection": max(said.values(), key=_STRENGTH.index, default=Protection.NONE)}


def _lists(state: PersonState, source: str, data: HrPersonRecorded) -> Lists:
    ids = [said.id for said in data.employments or ()]
    known = state.employment((source, data.external_id, ids[0])) if ids else None
    if known is None:
        return Lists(identifiers=state.identifiers)
    return Lists(state.identifiers, known.assignments, known.absences)


def _fold_employments(
    state: PersonState, source: str, data: HrPersonRecorded, order: FactOrder
) -> tuple[EmploymentState, ...]:
    known = {employment.key: employment for employment in state.employments}
    for said in data.employments:
        key = (source, data.external_id, said.id)
        before = known.get(key) or EmploymentState(
            source=source,
            person=data.external_id,
            id=said.id,
            baseline=data.baseline is True,
            stated_at=order.asserted_at,
        )
        known[key] = _fold_employment(before, said, order)
    return tuple(known[key] for key in sorted(known))


_PLAIN = ("form", "valid_from", "employee_number", "extent", "sponsor")
_DATED = ("assignments", "absences")
_STRENGTH = tuple(Protection)
FINAL = frozenset({EndReason.DISMISSAL, EndReason.DEATH})
"""Ends that close access when they are stated, and after which nothing lingers."""


def _fold_employment(before: EmploymentState, said: HrEmployment, order: FactOrder) -> EmploymentState:
    changes: dict[str, Any] = {name: getattr(said, name) for name in _PLAIN if said.says(name)}
    changes |= {name: tuple(map(_dated, getattr(said, name))) for name in _DATED if said.says(name)}
    if said.says("terms"):
        changes["terms"] = _merged(before.terms, said.terms)
    if said.says("valid_to"):
        ends = stated_end(said.valid_to)
        changes["valid_to"] = ends
        kept = before.end_stated_at if ends == before.valid_to else None
        changes["end_stated_at"] = _since(ends is not None, kept, order)
    if said.says("end_reason"):
        changes["end_reason"] = said.end_reason
        changes["dismissed_at"] = _since(said.end_reason in FINAL, before.dismissed_at, order)
    if said.says("cancelled"):
        changes["cancelled_at"] = _since(said.cancelled, before.cancelled_at, order)
    return before.model_copy(update=changes)


def _dated(told: Dated) -> Dated:
    ends = stated_end(told.valid_to)
    return told if ends == told.valid_to else told.model_copy(update={"valid_to": ends})


def _since(holds: bool, known: datetime | None, order: FactOrder) -> datetime | None:
    """When something that holds was first asserted; a snapshot that repeats it does not move it."""
    return (known or order.asserted_at) if holds else None


def _merged(before: Value | None, said: Value | None) -> Value | None:
    if before is None or said is None:
        return said
    return before.model_copy(update={name: getattr(said, name) for name in said.model_fields_set})
