"""HR's single changes: one thing that happened to one person, for systems that tell of events and not of whole people.

Each says what a partial snapshot (`HrPersonRecorded`) would say, so that both fold into the same history; a single
assignment, absence or identifier stands beside what the list held. Corrections and retroactive facts are the same
events with earlier dates. Of facts with the same time and sequence, hires and snapshots come before all other changes.
"""

from datetime import date
from typing import Any, Self

from pydantic import model_validator

from contracts.base import ABSENT, Label, Message, Percent
from contracts.codes import EndReason, Form, Protection
from contracts.hr import (
    HrAbsence,
    HrAssignment,
    HrEmployment,
    HrIdentifier,
    HrName,
    HrPersonRecorded,
    HrTerms,
    stated_end,
)


class _Change(Message):
    """What every change has: whom it is about, by the source's id.

    `snapshot` is what each says as a partial snapshot; lists hold only what is told here.
    """

    external_id: Label

    def _of(self, **said: Any) -> HrPersonRecorded:
        return HrPersonRecorded.model_construct({"external_id", *said}, external_id=self.external_id, **said)

    def _said(self, *names: str) -> dict[str, Any]:
        return {name: getattr(self, name) for name in names if self.says(name)}


def _employment(id_: str, **said: Any) -> HrEmployment:
    return HrEmployment.model_construct({"id", *said}, id=id_, **said)


class HrEmploymentStarted(_Change):
    """se.stafett.hr.employment.started.v1: a hire, now, ahead or in the past. A new person needs a name.

    `employment` has form, validFrom and its assignments, all of them: told again it replaces them. It is not cancelled,
    and has no end, unless it says so.
    """

    name: HrName = ABSENT
    birth_date: date | None = None
    employment: HrEmployment

    @model_validator(mode="after")
    def _whole(self) -> Self:
        for name, wire in (("form", "form"), ("valid_from", "validFrom"), ("assignments", "assignments")):
            if not self.employment.says(name):
                raise ValueError(f"employment needs {wire}")
        return self

    def snapshot(self) -> HrPersonRecorded:
        """Return the person with this employment."""
        told = self.employment
        stands = {"cancelled": False, "valid_to": None, "end_reason": None}
        begun = told.model_copy(update={name: value for name, value in stands.items() if not told.says(name)})
        return self._of(**self._said("name", "birth_date"), employments=(begun,))


class HrEmploymentChanged(_Change):
    """se.stafett.hr.employment.changed.v1: something about an employment is otherwise. A field left out is unchanged.

    `assignment` is told whole, and holds from its validFrom: what held then ends the day before, and goes on after its
    validTo. Without a validTo it holds until the next assignment that is planned already. One with the same validFrom
    is corrected; it goes on after the new one's validTo when that is another unit's.
    """

    employment: Label
    form: Form = ABSENT
    valid_from: date = ABSENT
    employee_number: Label | None = None
    extent: Percent = ABSENT
    sponsor: Label | None = None
    terms: HrTerms | None = None
    assignment: HrAssignment = ABSENT

    def snapshot(self) -> HrPersonRecorded:
        """Return the employment with what is otherwise."""
        said = self._said("form", "valid_from", "employee_number", "extent", "sponsor", "terms")
        if self.says("assignment"):
            said["assignments"] = (self.assignment,)
        return self._of(employments=(_employment(self.employment, **said),))


class HrEmploymentEnded(_Change):
    """se.stafett.hr.employment.ended.v1: the last day, inclusive; null takes a stated end back."""

    employment: Label
    valid_to: date | None
    end_reason: EndReason | None = None

    def snapshot(self) -> HrPersonRecorded:
        """Return the employment with its end; an end that is taken back has no reason."""
        said = {"valid_to": stated_end(self.valid_to), **self._said("end_reason")}
        if said["valid_to"] is None:
            said["end_reason"] = None
        return self._of(employments=(_employment(self.employment, **said),))


class HrEmploymentCancelled(_Change):
    """se.stafett.hr.employment.cancelled.v1: it does not come about. From its start on this is an end, at once."""

    employment: Label

    def snapshot(self) -> HrPersonRecorded:
        """Return the employment, cancelled."""
        return self._of(employments=(_employment(self.employment, cancelled=True),))


class HrAbsenceRecorded(_Change):
    """se.stafett.hr.absence.recorded.v1: a period away. Its kind and validFrom tell which; told again it is corrected.

    `movedFrom`: the validFrom that it had before, which must be known. `withdrawn`: it does not come about.
    """

    employment: Label
    absence: HrAbsence
    moved_from: date = ABSENT
    withdrawn: bool = ABSENT

    def snapshot(self) -> HrPersonRecorded:
        """Return the employment with this absence."""
        told = () if self.withdrawn else (self.absence,)
        return self._of(employments=(_employment(self.employment, absences=told),))


class HrNameChanged(_Change):
    """se.stafett.hr.name.changed.v1: the name as it is now; `preferred` left out is unchanged."""

    name: HrName

    def snapshot(self) -> HrPersonRecorded:
        """Return the person with the name."""
        return self._of(name=self.name)


class HrIdentifierChanged(_Change):
    """se.stafett.hr.identifier.changed.v1: a number as it is now.

    With a validFrom the one before ends the day before and is kept; without one it was wrong and is replaced. Before it
    is one of the same kind; of personnummer, samordningsnummer and interim numbers a person has one at a time.
    `withdrawn`: the person has none of this kind.
    """

    identifier: HrIdentifier
    withdrawn: bool = ABSENT

    def snapshot(self) -> HrPersonRecorded:
        """Return the person with this identifier."""
        return self._of(identifiers=() if self.withdrawn else (self.identifier,))


class HrProtectionChanged(_Change):
    """se.stafett.hr.protection.changed.v1: protected personal data, or no longer."""

    protection: Protection

    def snapshot(self) -> HrPersonRecorded:
        """Return the person with the protection."""
        return self._of(protection=self.protection)


HrChange = (
    HrEmploymentStarted
    | HrEmploymentChanged
    | HrEmploymentEnded
    | HrEmploymentCancelled
    | HrAbsenceRecorded
    | HrNameChanged
    | HrIdentifierChanged
    | HrProtectionChanged
)
"""One of them."""
