"""What policy gives besides the account: groups, licences, a way for the mail (IGA: birthright entitlements).

Only what we gave is taken away again; what somebody else gave is left, also when policy would have given it.
"""

import re
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
    MAIL_ROUTE = "mail_route"


class Begins(StrEnum):
    """From which of an employment's two days on a row gives."""

    START = "start"
    END = "end"


@dataclass(frozen=True, order=True)
class Grant:
    """One thing that an account in a target has or shall have.

    `value` is what the target's people know it by: a group's `cn` in OpenLDAP, its `sAMAccountName` in Active
    Directory, its object id or unique display name in Entra ID; a licence's `skuPartNumber`; the address of the
    function mailbox to which the account's mail is redirected.
    """

    kind: GrantKind
    value: str

    @property
    def label(self) -> str:
        """Kind and value in one word, as findings and decisions name it; no attribute of a directory has a colon."""
        return f"{self.kind}:{self.value}"


BIRTHRIGHT: rows.Columns = {
    "kind": rows.Column(
        lambda value: isinstance(value, str) and value in set(GrantKind), "is neither group, licence nor mail_route"
    ),
    "value": rows.Column(lambda value: isinstance(value, str) and bool(value.strip()), "is empty, or no text"),
    "lead_days": rows.DAYS,
    "keep_days": rows.DAYS,
    "begins": rows.Column(
        lambda value: value is None or (isinstance(value, str) and value in set(Begins)),
        "is neither start nor end",
        optional=True,
    ),
}
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+")


def agree(output: Mapping[str, Any], *, table: str, row: str) -> None:
    """Return when the outputs of a row, as far as they are there, go together.

    Raises:
        RowUnusable: A mail route is to no address; or what begins at the end would begin before it, or end at once.
    """
    value, mail = output.get("value"), output.get("kind") == GrantKind.MAIL_ROUTE
    if mail and isinstance(value, str) and not _ADDRESS.fullmatch(value):
        raise rows.RowUnusable(table, row, "value is no mail address")
    if output.get("begins") == Begins.END:
        if output.get("lead_days", 0) != 0:
            raise rows.RowUnusable(table, row, "lead_days must be 0 for what begins at the end")
        if output.get("keep_days", 1) < 1:
            raise rows.RowUnusable(table, row, "keep_days must be 1 or more for what begins at the end")


@dataclass(frozen=True)
class Birthright:
    """What a row gives an employment: from so many days before its start until so many days after its end.

    `begins` END: only from its end on, and only while no other employment has the account.
    """

    grant: Grant
    lead_days: int
    keep_days: int
    row: str
    begins: Begins = Begins.START

    @classmethod
    def from_output(cls, output: Mapping[str, Any], *, table: str, row: str) -> "Birthright":
        """Read a decision's output.

        Raises:
            RowUnusable: A value is missing, of the wrong type, empty, or negative.
        """
        rows.check(BIRTHRIGHT, output, table=table, row=row)
        agree(output, table=table, row=row)
        grant = Grant(GrantKind(output["kind"]), output["value"])
        begins = Begins(output.get("begins") or Begins.START)
        return cls(grant, int(output["lead_days"]), int(output["keep_days"]), row, begins)


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
            whole = (begins, _kept(span, right, zone))
            for begins, ends in [whole] if right.begins is Begins.START else _left(span, line, whole[1]):
                yield Given(one.id, right, begins, ends)


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


def _left(span: Span, line: Timeline, until: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Yield when the person has left, from an employment's end on: mail of who still works is their own."""
    if span.ends <= span.starts:
        return  # it never began
    begins = span.ends
    for other in sorted(line.spans, key=lambda one: one.starts):
        if other.starts < other.ends and other.ends > begins:
            if begins < min(other.starts, until):
                yield begins, min(other.starts, until)
            begins = max(begins, other.ends)
    if begins < until:
        yield begins, until


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
    """Ours no longer: not wanted and taken by another hand already, or left to it by a person's word."""
    taken: frozenset[Grant]
    """Ours, wanted, and taken by another hand: a privilege is not restored before a person says so."""
    left: frozenset[Grant]
    """Taken by another hand, and a person has said that it stays so, though policy gives it."""


def compare(
    wanted: Set[Grant], owned: Mapping[Grant, bool], held: Set[Grant], left: Set[Grant] = frozenset()
) -> Difference:
    """Compare what shall be, what we gave (true: it was seen to be there), and what is there.

    `left` is neither ours nor to be given, however it stands with it: a person decided so.
    """
    ended, absent = owned.keys() - wanted - left, wanted - held
    taken = frozenset(grant for grant in absent - left if owned.get(grant))
    return Difference(
        missing=frozenset(absent - left - taken),
        surplus=frozenset(ended & held),
        gone=frozenset((ended - held) | (owned.keys() & left)),
        taken=taken,
        left=frozenset(absent & left),
    )
