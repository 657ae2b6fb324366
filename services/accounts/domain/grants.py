"""What policy gives besides the account: groups and licences (IGA: birthright entitlements).

Only what we gave is taken away again; what somebody else gave is left, also when policy would have given it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from contracts.codes import AbsenceExtent
from contracts.person import Assignment, Employment
from services.accounts.domain import rows
from services.accounts.domain.timeline import FOREVER, Span, Timeline, shifted
from services.kernel.clock import local_date, start_of_day


class GrantKind(StrEnum):
    """What kind of thing a target gives."""

    GROUP = "group"
    LICENCE = "licence"


@dataclass(frozen=True, order=True)
class Grant:
    """One thing that an account in a target has or shall have.

    `value` is what the target's people know it by: a group's `cn` in OpenLDAP, its `sAMAccountName` in Active
    Directory, its object id or unique display name in Entra ID; a licence's `skuPartNumber`.
    """

    kind: GrantKind
    value: str


BIRTHRIGHT: rows.Columns = {
    "kind": rows.Column(
        lambda value: isinstance(value, str) and value in set(GrantKind), "is neither group nor licence"
    ),
    "value": rows.Column(lambda value: isinstance(value, str) and bool(value.strip()), "is empty, or no text"),
    "lead_days": rows.DAYS,
    "keep_days": rows.DAYS,
}


@dataclass(frozen=True)
class Birthright:
    """What a row gives an employment: from so many days before its start until so many days after its end."""

    grant: Grant
    lead_days: int
    keep_days: int
    row: str

    @classmethod
    def from_output(cls, output: Mapping[str, Any], *, table: str, row: str) -> "Birthright":
        """Read a decision's output.

        Raises:
            RowUnusable: A value is missing, of the wrong type, empty, or negative.
        """
        rows.check(BIRTHRIGHT, output, table=table, row=row)
        grant = Grant(GrantKind(output["kind"]), output["value"])
        return cls(grant, int(output["lead_days"]), int(output["keep_days"]), row)


@dataclass(frozen=True)
class Standing:
    """What an employment is on a day, as the table may ask for it; `absence` is none, partial or full."""

    employment: Employment
    assignment: Assignment | None
    absence: str


Ask = Callable[[Standing], Sequence[Birthright]]
"""What the table gives; all rows that match."""


@dataclass(frozen=True)
class Entitled:
    """What the person shall have now, with the employment and the row that give it, and when that changes next."""

    why: Mapping[Grant, tuple[UUID, str]] = field(default_factory=dict)
    next_boundary: datetime | None = None

    @property
    def grants(self) -> Set[Grant]:
        """What the person shall have now."""
        return self.why.keys()


@dataclass(frozen=True)
class Given:
    """What a row gives an employment, from an instant up to another; `FOREVER`: until further notice."""

    employment: UUID
    right: Birthright
    begins: datetime
    ends: datetime


def given(line: Timeline, ask: Ask, now: datetime, zone: ZoneInfo) -> Iterator[Given]:
    """Yield what all employments give that have an account in the target, and when.

    The table is asked about each employment as it is today, or on its first or last day before and after it.
    """
    for span in line.spans:
        day = min(max(local_date(now, zone), span.first_day), span.last_day)
        one = span.employment
        for right in ask(Standing(one, one.assignment(day), _absence(one, day))):
            begins = start_of_day(shifted(span.first_day, -right.lead_days), zone)
            yield Given(one.id, right, begins, _kept(span, right, zone))


def entitled(line: Timeline, ask: Ask, now: datetime, zone: ZoneInfo) -> Entitled:
    """Return the union of what all employments give at `now`."""
    why: dict[Grant, tuple[UUID, str]] = {}
    boundaries: set[datetime] = set()
    for one in given(line, ask, now, zone):
        boundaries |= {one.begins, one.ends}
        if one.begins <= now < one.ends:
            why.setdefault(one.right.grant, (one.employment, one.right.row))
    coming = [boundary for boundary in boundaries if now < boundary < FOREVER]
    return Entitled(why, min(coming, default=None))


def _kept(span: Span, right: Birthright, zone: ZoneInfo) -> datetime:
    if span.ends >= FOREVER or not right.keep_days:
        return span.ends
    return max(span.ends, start_of_day(shifted(span.last_day, right.keep_days + 1), zone))


def _absence(employment: Employment, day: date) -> str:
    """Return the heaviest absence of a day."""
    extents = {
        absence.extent
        for absence in employment.absences
        if absence.valid_from <= day and (absence.valid_to is None or day <= absence.valid_to)
    }
    return next((str(extent) for extent in (AbsenceExtent.FULL, AbsenceExtent.PARTIAL) if extent in extents), "none")


@dataclass(frozen=True)
class Difference:
    """What to give and what to take so that an account has what it shall have."""

    missing: frozenset[Grant]
    surplus: frozenset[Grant]
    """Ours, held, and not wanted any more."""
    gone: frozenset[Grant]
    """Ours, not wanted any more, and taken by another hand already."""
    taken: frozenset[Grant]
    """Ours, wanted, and taken by another hand: a privilege is not restored before a person says so."""


def compare(wanted: Set[Grant], owned: Mapping[Grant, bool], held: Set[Grant]) -> Difference:
    """Compare what shall be, what we gave (true: it was seen to be there), and what is there."""
    ended = owned.keys() - wanted
    taken = frozenset(grant for grant in wanted - held if owned.get(grant))
    return Difference(frozenset(wanted - held - taken), frozenset(ended & held), frozenset(ended - held), taken)
