"""A person's whole effective-dated record, as it travels: `core` to all, `confidential` where a reason is listed."""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from contracts.base import ABSENT, Message, Organisation
from contracts.codes import AbsenceExtent, EndReason, Form, Protection, Reason
from contracts.hr import HrContact, HrIdentifier, HrTerms


class Name(Message):
    """Exact spelling, NFC. `preferred` is the name of address (tilltalsnamn)."""

    given: str
    family: str
    preferred: str | None = None

    @property
    def display(self) -> str:
        """Name of address and family name, for display and mail."""
        return " ".join(part for part in (self.preferred or self.given, self.family) if part)


class Assignment(Message):
    """Unit, title and manager from a date to a date inclusive. `unit` is the organisation's own unit id."""

    unit: str
    title: str | None = None
    title_code: str | None = None
    manager: UUID | None = None
    site: str | None = None
    cost_centre: str | None = None
    valid_from: date
    valid_to: date | None = None


class Absence(Message):
    """Full or partial absence with dates; never its kind."""

    extent: AbsenceExtent
    valid_from: date
    valid_to: date | None = None


class Employment(Message):
    """One employment. `ends_at`, when set, closes access at that instant and overrides `valid_to` (dismissal, death).

    `end_stated_at`: when HR first stated the end that now holds; ends stated 7 days ahead do not count in the guard.
    `lingers_until`: the affiliation goes on until that instant although the employment has ended: a gap to a next
    employment that was recorded before the end, or the pool of hourly staff. Ingestion alone decides it.
    """

    id: UUID
    form: Form
    valid_from: date
    valid_to: date | None = None
    ends_at: datetime | None = None
    end_reason: EndReason | None = None
    end_stated_at: datetime | None = None
    lingers_until: datetime | None = None
    cancelled: bool = False
    employee_number: str | None = None
    extent: float = 100.0
    sponsor: UUID | None = None
    baseline: bool = False
    assignments: tuple[Assignment, ...] = ()
    absences: tuple[Absence, ...] = ()

    def holds(self, on: date) -> bool:
        """Tell whether the employment holds on the local date `on` (dates only; `ends_at` is an instant)."""
        return not self.cancelled and self.valid_from <= on and (self.valid_to is None or on <= self.valid_to)

    def assignment(self, on: date) -> Assignment | None:
        """Return the assignment on `on`, else the next one to come, else the last one."""
        spans = sorted(self.assignments, key=lambda span: span.valid_from)
        for span in spans:
            if span.valid_to is None or on <= span.valid_to:
                return span
        return spans[-1] if spans else None


class Access(Message):
    """What operators have decided about a person's access beside HR's word; facts of the ledger like any other.

    `blocked_since`: nothing is open from that instant on, until the block is lifted. `kept_until`: what the last
    employment gives stays until that day is over, although the employment ends before.
    """

    blocked_since: datetime | None = None
    kept_until: date | None = None


class CoreRecord(Message):
    """What every service may know.

    `alias_of`: this id was merged into that person and mirrors the record; what hangs on the id follows, nothing new is
    made for it. `aliases`: ids that were merged into this person. `erased`: what was known of this person is not to be
    known any more; a record with it is empty, holds whatever came before, and what was made of earlier ones is emptied.
    """

    name: Name
    protection: Protection = Protection.NONE
    deceased: bool = False
    access: Access | None = None
    employments: tuple[Employment, ...] = ()
    alias_of: UUID | None = Field(default=None, exclude_if=lambda person: person is None)
    aliases: tuple[UUID, ...] = Field(default=(), exclude_if=lambda persons: not persons)
    erased: bool = Field(default=False, exclude_if=lambda erased: not erased)

    def main_employment(self, on: date) -> Employment | None:
        """Return the main employment on `on`: highest extent, then earliest start, then id (DOMAIN, Employment).

        Without an active one: the next to start, else the last to have ended.
        """
        live = [employment for employment in self.employments if not employment.cancelled]
        return (
            _first(employment for employment in live if employment.holds(on))
            or min(
                (e for e in live if e.valid_from > on), key=lambda e: (e.valid_from, -e.extent, e.id.hex), default=None
            )
            or max(live, key=lambda e: (e.valid_to or date.max, e.extent, e.id.hex), default=None)
        )


ERASED = CoreRecord(name=Name(given="", family=""), erased=True)
"""All that is told of somebody who is erased."""


def _first(employments: Iterable[Employment]) -> Employment | None:
    return min(employments, key=lambda e: (-e.extent, e.valid_from, e.id.hex), default=None)


class EmploymentTerms(Message):
    """Terms of one employment (confidential)."""

    employment: UUID
    terms: HrTerms


class ConfidentialRecord(Message):
    """Personal numbers, private contact, terms of employment."""

    birth_date: date | None = None
    identifiers: tuple[HrIdentifier, ...] = ()
    private_contact: HrContact | None = None
    terms: tuple[EmploymentTerms, ...] = ()


Revision = Annotated[int, Field(ge=1)]
"""Gapless per person and organisation, from 1; versions compare as (generation, revision)."""


class PersonChanged(Message):
    """se.stafett.person.{joiner,mover,leaver}.v1, section core.

    `effective_at` is when the change takes effect (UTC), `accepted_at` when HR's word for the case was accepted.
    `guard_released` names what a person let through at ingestion; it counts downstream.
    """

    organisation: Organisation
    person: UUID
    generation: int = 1
    revision: Revision
    case_id: UUID
    reason: Reason
    effective_at: datetime
    accepted_at: datetime
    baseline: bool = False
    guard_released: bool = False
    record: CoreRecord


class PersonConfidential(Message):
    """se.stafett.person.confidential.v1: sent at every revision beside the core section."""

    organisation: Organisation
    person: UUID
    generation: int = 1
    revision: Revision
    record: ConfidentialRecord


class UnitChange(Message):
    """What becomes of a unit on a local date: only the fields that change then; null: there is none from then on."""

    effective_from: date
    name: str = ABSENT
    parent: str | None = None
    manager: UUID | None = None
    acting_manager: UUID | None = None
    kind: str | None = None
    site: str | None = None
    cost_centre: str | None = None
    mail_domain: str | None = None

    @model_serializer(mode="wrap")
    def _changed(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields = type(self).model_fields
        said = self.model_fields_set | {fields[name].alias for name in self.model_fields_set}
        return {name: value for name, value in handler(self).items() if name in said}


class UnitRecord(Message):
    """A unit as HR records it, as of the revision's business time; orgtree alone says what is in effect.

    `changes`: what is planned for later dates, in their order; when one is reached, a newer revision says so.
    `earlier`: what held before, from each date on, in their order; the first says all that is known of the first day.
    `acting_manager` leads in the manager's place. `successors`: what the unit becomes after its last day.
    """

    name: str
    parent: str | None = None
    manager: UUID | None = None
    acting_manager: UUID | None = Field(default=None, exclude_if=lambda person: person is None)
    kind: str | None = None
    site: str | None = None
    cost_centre: str | None = None
    mail_domain: str | None = None
    valid_from: date
    valid_to: date | None = None
    changes: tuple[UnitChange, ...] = Field(default=(), exclude_if=lambda changes: not changes)
    earlier: tuple[UnitChange, ...] = Field(default=(), exclude_if=lambda changes: not changes)
    successors: tuple[str, ...] = Field(default=(), exclude_if=lambda units: not units)


class UnitRecorded(Message):
    """se.stafett.unit.recorded.v1: part `part` of `parts` of a tree revision, applied when complete."""

    organisation: Organisation
    unit: str
    generation: int = 1
    revision: Revision
    tree_revision: Revision
    part: Annotated[int, Field(ge=1)] = 1
    parts: Annotated[int, Field(ge=1)] = 1
    record: UnitRecord
