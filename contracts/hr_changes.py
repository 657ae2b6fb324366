"""HR's single changes: one thing that happened to one person, for systems that tell of events and not of whole people.

Each says what a partial snapshot (`HrPersonRecorded`) would say, so that both fold into the same history; what it adds
to a list stands beside what the list held. Corrections and retroactive facts are the same events with earlier dates.
"""

from datetime import date
from typing import Any, Self

from pydantic import model_validator

from contracts.base import ABSENT, Label, Message, Percent
from contracts.codes import EndReason, Form, Protection
from contracts.hr import HrAbsence, HrAssignment, HrEmployment, HrIdentifier, HrName, HrPersonRecorded, HrTerms


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

    `employment` has form, validFrom and at least one assignment. Told again it corrects what was told.
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
        return self._of(**self._said("name", "birth_date"), employments=(self.employment,))


class HrEmploymentChanged(_Change):
    """se.stafett.hr.employment.changed.v1: something about an employment is otherwise. A field left out is unchanged.

    `assignment` holds from its validFrom: what held then ends the day before, and goes on after its validTo. Without
    a validTo it holds until the next assignment that is planned already. The same validFrom corrects an assignment.
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
        said = {"valid_to": self.valid_to, **self._said("end_reason")}
        if self.valid_to is None:
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

    `movedFrom`: the validFrom that it had before. `withdrawn`: it does not come about.
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

    With a validFrom the one of the same kind ends the day before and is kept; without one it was wrong and is replaced.
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
