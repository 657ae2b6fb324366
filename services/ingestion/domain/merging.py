"""A single change as the snapshot it amounts to: what it adds to a list is put beside what the list held before.

Facts are folded in the order in which they were asserted, so the list before is the same for any order of arrival.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from contracts.codes import IdentifierKind
from contracts.hr import HrAbsence, HrAssignment, HrEmployment, HrIdentifier, HrPersonRecorded, stated_end
from contracts.hr_changes import HrAbsenceRecorded, HrChange, HrEmploymentChanged, HrIdentifierChanged

DAY = timedelta(days=1)
NATIONAL = frozenset({IdentifierKind.PERSONNUMMER, IdentifierKind.SAMORDNINGSNUMMER, IdentifierKind.INTERIM})
"""Of these a person has one at a time: an interim or coordination number becomes a personal number."""


@dataclass(frozen=True)
class Lists:
    """What the lists that a change touches held before it."""

    identifiers: tuple[HrIdentifier, ...] = ()
    assignments: tuple[HrAssignment, ...] = ()
    absences: tuple[HrAbsence, ...] = ()


def whole(change: HrChange, before: Lists) -> HrPersonRecorded:
    """Return the change as a snapshot whose lists are whole. All the rest of it is as `change.snapshot()` says."""
    said = change.snapshot()
    if isinstance(change, HrIdentifierChanged):
        return said.model_copy(update={"identifiers": tuple(_identifiers(change, before.identifiers))})
    if isinstance(change, HrEmploymentChanged) and change.says("assignment"):
        return _with_employment(said, assignments=tuple(assigned(before.assignments, change.assignment)))
    if isinstance(change, HrAbsenceRecorded):
        return _with_employment(said, absences=tuple(_absences(change, before.absences)))
    return said


def _with_employment(said: HrPersonRecorded, **lists: Any) -> HrPersonRecorded:
    (employment,) = said.employments
    changed: HrEmployment = employment.model_copy(update=lists)
    return said.model_copy(update={"employments": (changed,)})


def assigned(before: Iterable[HrAssignment], new: HrAssignment) -> Iterator[HrAssignment]:
    """Put an assignment among others, none of which overlap.

    Without an end it holds until the next that is planned. What it covers is gone; one that began before ends the day
    before, and goes on afterwards if it went on beyond. One of the same day and unit is corrected.
    """
    others = sorted((one for one in before if not _corrects(new, one)), key=lambda one: one.valid_from)
    ends = stated_end(new.valid_to)
    if ends is None:
        following = next((one.valid_from for one in others if one.valid_from > new.valid_from), None)
        ends = following - DAY if following else None
    yield new.model_copy(update={"valid_to": ends})
    for one in others:
        if one.valid_from < new.valid_from:
            last = new.valid_from - DAY
            yield one if one.valid_to and one.valid_to <= last else one.model_copy(update={"valid_to": last})
        if ends is not None and (one.valid_to is None or one.valid_to > ends):
            yield one.model_copy(update={"valid_from": max(one.valid_from, ends + DAY)})


def _corrects(new: HrAssignment, one: HrAssignment) -> bool:
    return one.valid_from == new.valid_from and one.unit == new.unit


def _absences(change: HrAbsenceRecorded, before: Iterable[HrAbsence]) -> Iterator[HrAbsence]:
    told = change.absence
    corrected = {told.valid_from, change.moved_from if change.says("moved_from") else told.valid_from}
    yield from (one for one in before if one.kind != told.kind or one.valid_from not in corrected)
    if not change.withdrawn:
        yield told


def _identifiers(change: HrIdentifierChanged, before: Iterable[HrIdentifier]) -> Iterator[HrIdentifier]:
    told = change.identifier
    alike = NATIONAL if told.kind in NATIONAL and not change.withdrawn else {told.kind}
    for one in before:
        if one.kind not in alike:
            yield one
        elif not change.withdrawn and told.valid_from is not None and _began_before(one, told.valid_from):
            last = told.valid_from - DAY
            yield one if one.valid_to and one.valid_to <= last else one.model_copy(update={"valid_to": last})
    if not change.withdrawn:
        yield told


def _began_before(one: HrIdentifier, day: date) -> bool:
    return one.valid_from is None or one.valid_from < day
