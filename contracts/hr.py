"""HR's side: what an HR system may say. Absent changes nothing; null clears where the type allows null."""

from datetime import date
from itertools import pairwise
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from contracts.base import ABSENT, Label, Message, Percent, Text
from contracts.codes import AbsenceExtent, AbsenceKind, EndReason, Form, IdentifierKind, Protection

Money = Annotated[str, StringConstraints(pattern=r"^\d{1,9}(\.\d{1,2})?$")]
"""An amount in the employment's currency, decimal point, as a string so that no cent is lost."""


NO_END = date(9999, 1, 1)
"""From here on an end means until further notice: HR systems write 9999-12-31 (DOMAIN, Identity)."""


def stated_end(valid_to: date | None) -> date | None:
    """Return the end that is meant."""
    return None if valid_to is None or valid_to >= NO_END else valid_to


def ordered(valid_from: date | None, valid_to: date | None) -> None:
    """Refuse an end before its start; both dates are inclusive.

    Raises:
        ValueError: The end lies before the start.
    """
    if valid_from is not None and valid_to is not None and valid_to < valid_from:
        raise ValueError("validTo is before validFrom")


class HrName(Message):
    """Name as HR spells it. Given or family name may be empty; `preferred` is the tilltalsnamn."""

    given: Text
    family: Text
    preferred: Text | None = None

    @model_validator(mode="after")
    def _one_name(self) -> Self:
        if not self.given and not self.family:
            raise ValueError("given and family name are both empty")
        return self


class HrIdentifier(Message):
    """A dated, replaceable identifier; interim numbers stay opaque with their issuer. Both dates are inclusive."""

    kind: IdentifierKind
    value: Label
    issuer: Label | None = None
    # left out when there is none: whoever reads them may be of a version that does not know them
    valid_from: date | None = Field(default=None, exclude_if=lambda day: day is None)
    valid_to: date | None = Field(default=None, exclude_if=lambda day: day is None)

    @model_validator(mode="after")
    def _dates(self) -> Self:
        ordered(self.valid_from, self.valid_to)
        return self


class HrContact(Message):
    """Private contact (confidential)."""

    mail: Text | None = None
    phone: Text | None = None
    address: Text | None = None


class HrTerms(Message):
    """Terms of employment (confidential)."""

    pay: Money | None = None
    pay_period: Text | None = None
    agreement: Text | None = None
    notice_months: Annotated[int, Field(ge=0, le=24)] | None = None


class HrAssignment(Message):
    """Where and as what, from a date to a date inclusive. `unit` and `manager` are the source's own ids."""

    unit: Label
    title: Text | None = None
    title_code: Text | None = None
    manager: Label | None = None
    site: Text | None = None
    cost_centre: Text | None = None
    extent: Percent | None = None
    valid_from: date
    valid_to: date | None = None

    @model_validator(mode="after")
    def _dates(self) -> Self:
        ordered(self.valid_from, self.valid_to)
        return self


class HrAbsence(Message):
    """A period away; `validTo` null or absent means until further notice."""

    kind: AbsenceKind
    extent: AbsenceExtent
    valid_from: date
    valid_to: date | None = None

    @model_validator(mode="after")
    def _dates(self) -> Self:
        ordered(self.valid_from, self.valid_to)
        return self


class HrEmployment(Message):
    """One employment or affiliation, by the source's id. A field that is left out keeps its value.

    `assignments` and `absences`, when given, replace the whole list. `validTo` null means until further notice.
    A new employment needs `form`, `validFrom` and at least one assignment; a consultant also `sponsor` and `validTo`.
    """

    id: Label
    form: Form = ABSENT
    valid_from: date = ABSENT
    valid_to: date | None = None
    end_reason: EndReason | None = None
    cancelled: bool = ABSENT
    employee_number: Label | None = None
    extent: Percent = ABSENT
    sponsor: Label | None = None
    assignments: tuple[HrAssignment, ...] = ABSENT
    absences: tuple[HrAbsence, ...] = ABSENT
    terms: HrTerms | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        ordered(self.valid_from, self.valid_to)
        if self.says("assignments"):
            spans = sorted(self.assignments, key=lambda assignment: assignment.valid_from)
            for before, after in pairwise(spans):
                if before.valid_to is None or before.valid_to >= after.valid_from:
                    raise ValueError(f"assignments overlap on {after.valid_from.isoformat()}")
        return self


class HrPersonRecorded(Message):
    """se.stafett.hr.person.recorded.v1: a snapshot of one person as the source sees it.

    An employment that is left out is unchanged. `baseline` marks existing staff on day one: no once-only effects.
    """

    external_id: Label
    name: HrName = ABSENT
    birth_date: date | None = None
    identifiers: tuple[HrIdentifier, ...] = ABSENT
    protection: Protection = ABSENT
    deceased_on: date | None = None
    private_contact: HrContact | None = None
    employments: tuple[HrEmployment, ...] = ABSENT
    baseline: bool = ABSENT

    @model_validator(mode="after")
    def _unique_employments(self) -> Self:
        if self.says("employments"):
            ids = [employment.id for employment in self.employments]
            if len(set(ids)) != len(ids):
                raise ValueError("the same employment id occurs twice")
        return self


class HrUnitRecorded(Message):
    """se.stafett.hr.unit.recorded.v1: a unit as HR records it. A field that is left out keeps its value.

    `effectiveFrom`: name, parent, manager, acting manager, kind, site, cost centre and mail domain, where told, hold
    from that local date on and until the next date that was told of; what is told later of the same field and date
    takes its place.
    Left out: they hold at once, and what is planned for later days stays. Null: they hold at once, and nothing is
    planned for them any more. `successors`: what a merged or split unit becomes when it closes, so `validTo` is needed.
    `actingManager` leads in the manager's place until it is null. `managerSource`: the source whose ids the two are,
    when it is another of the organisation than the event's own.
    """

    external_id: Label
    name: Label = ABSENT
    parent: Label | None = None
    manager: Label | None = None
    acting_manager: Label | None = None
    manager_source: Label = ABSENT
    kind: Text | None = None
    site: Text | None = None
    cost_centre: Text | None = None
    mail_domain: Text | None = None
    valid_from: date = ABSENT
    valid_to: date | None = None
    effective_from: date | None = None
    successors: tuple[Label, ...] = ABSENT

    @model_validator(mode="after")
    def _sane(self) -> Self:
        ordered(self.valid_from, self.valid_to)
        if self.parent is not None and self.parent == self.external_id:
            raise ValueError("a unit cannot be its own parent")
        if self.external_id in (self.successors or ()):
            raise ValueError("a unit cannot be its own successor")
        return self
