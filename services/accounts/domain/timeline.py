"""When a person's account is there, disabled or enabled: windows in time, from dates in the organisation's zone."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import IntEnum
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from contracts.codes import AccountState, EndReason
from contracts.person import Absence, Access, Assignment, CoreRecord, Employment
from services.accounts.domain import rows
from services.kernel.clock import UTC, day_after, local_date, start_of_day

FOREVER = datetime.max.replace(tzinfo=UTC)
_FIRST_INSTANT = datetime.min.replace(tzinfo=UTC)
_FIRST = date(1900, 1, 1)
_OPEN = date(9000, 1, 1)
ANNOUNCED = timedelta(days=7)
"""An end stated this long before it takes effect does not count in the guard (DESIGN 8)."""


def _are_targets(value: object) -> bool:
    return value is None or (isinstance(value, list) and all(isinstance(one, str) for one in value))


def _is_expiry(value: object) -> bool:
    return value is None or rows.DAYS.accepts(value)


ENTITLEMENT: rows.Columns = {
    "account": rows.Column(lambda value: isinstance(value, bool), "is neither true nor false"),
    "lead_days": rows.DAYS,
    "grace_days": rows.DAYS,
    "expires_days": rows.Column(_is_expiry, "is neither empty nor a number of days, 0 or more", optional=True),
    "targets": rows.Column(_are_targets, "is no list of targets", optional=True),
}


@dataclass(frozen=True)
class Entitlement:
    """What the policy gives an employment: an account or not, and the offsets in days; `row` says which row did.

    `expires_days`: so long after the last day the directory itself refuses an open account; None: never.
    """

    account: bool
    lead_days: int
    grace_days: int
    table: str
    row: str
    expires_days: int | None = None

    @classmethod
    def from_output(cls, output: Mapping[str, Any], *, table: str, row: str, target: str) -> "Entitlement":
        """Read what a decision's output means for a target: `targets` names those of the account, without it all.

        Raises:
            RowUnusable: A value is missing, of the wrong type, or negative.
        """
        rows.check(ENTITLEMENT, output, table=table, row=row)
        targets = output.get("targets")
        account = output["account"] and (targets is None or target in targets)
        expires = output.get("expires_days")
        days = int(expires) if expires is not None else None
        return cls(account, int(output["lead_days"]), int(output["grace_days"]), table, row, days)


class Phase(IntEnum):
    """States by strength: the strongest over all employments holds."""

    ABSENT = 0
    DISABLED = 1
    ENABLED = 2

    @property
    def state(self) -> AccountState:
        """As it is published."""
        return AccountState(self.name.lower())


@dataclass(frozen=True)
class Window:
    """A phase from an instant up to, but not including, another (UTC)."""

    begins: datetime
    ends: datetime
    phase: Phase

    def closed_from(self, at: datetime) -> tuple["Window", "Window"]:
        """Return the parts before and after an instant from which on nothing is open; one of them may be empty."""
        after = Window(max(self.begins, at), self.ends, min(self.phase, Phase.DISABLED))
        return Window(self.begins, min(self.ends, at), self.phase), after


@dataclass(frozen=True)
class Ending:
    """An end that takes an account away: `stated_at` is when HR first stated it, `urgent` is a dismissal or a death."""

    employment: UUID
    at: datetime
    stated_at: datetime | None
    urgent: bool

    def announced(self, effect: datetime, known_since: datetime) -> bool:
        """Tell whether the end was stated, and known here, at least seven days before `effect`.

        HR's word for when it was stated can be dated back, so it does not count alone.
        """
        return self.stated_at is not None and effect - max(self.stated_at, known_since) >= ANNOUNCED


@dataclass(frozen=True)
class KnownEnding:
    """Since when (business time) the present end of an employment has been known here."""

    employment: UUID
    at: datetime
    since: datetime


def known_endings(
    endings: Iterable[Ending], known: Iterable[KnownEnding], now: datetime, keep: timedelta
) -> tuple[KnownEnding, ...]:
    """Return since when each end has been known: an end that moved is a new one. What is long past is forgotten."""
    since = {(one.employment, one.at): one.since for one in known}
    return tuple(
        KnownEnding(ending.employment, ending.at, since.get((ending.employment, ending.at), now))
        for ending in sorted(endings, key=lambda ending: ending.employment.hex)
        if ending.at > now - keep
    )


@dataclass(frozen=True)
class Timeline:
    """All windows, and the instants at which anything about the account may change (ascending)."""

    windows: tuple[Window, ...]
    boundaries: tuple[datetime, ...]
    endings: tuple[Ending, ...]
    spans: tuple["Span", ...] = ()

    def phase(self, at: datetime) -> Phase:
        """Return the phase that holds at an instant; it never changes between two boundaries."""
        return max((w.phase for w in self.windows if w.begins <= at < w.ends), default=Phase.ABSENT)

    def next_boundary(self, after: datetime) -> datetime | None:
        """Return the first boundary strictly after an instant."""
        index = bisect_right(self.boundaries, after)
        return self.boundaries[index] if index < len(self.boundaries) else None

    def changes(self, after: datetime) -> Iterator[tuple[datetime, Phase]]:
        """Yield the instants after `after` at which the phase changes, with the new phase."""
        phase = self.phase(after)
        for boundary in self.boundaries[bisect_right(self.boundaries, after) :]:
            if self.phase(boundary) != phase:
                phase = self.phase(boundary)
                yield boundary, phase

    def expires(self, now: datetime) -> datetime | None:
        """Return from when nothing that is known gives a reason for an open account, and the days beyond are over.

        None: something goes on until further notice, or policy lets the account of something never expire.
        """
        instants = [span.expires for span in self.spans if span.starts < span.ends and span.ends > now]
        known = [instant for instant in instants if instant is not None]
        return max(known) if known and len(known) == len(instants) else None

    def last_ending(self, now: datetime) -> Ending | None:
        """Return the end, reached by `now`, that was the last to leave the person without an employment."""
        return max((e for e in self.endings if e.at <= now), key=lambda e: (e.at, e.urgent), default=None)


def timeline(record: CoreRecord, entitlements: Mapping[UUID, Entitlement], zone: ZoneInfo) -> Timeline:
    """Derive the windows of all employments that are not cancelled and that policy gives an account.

    Args:
        record: The person's whole record.
        entitlements: Policy's answer per employment id.
        zone: Where the organisation's days begin and end.
    """
    spans = [
        Span(employment, entitlements[employment.id], zone)
        for employment in record.employments
        if not employment.cancelled and entitlements[employment.id].account
    ]
    access = record.access or Access()
    if spans and access.kept_until is not None:
        max(spans, key=lambda span: span.ends).keep(closing(access.kept_until, zone))
    windows = [window for span in spans for window in span.windows()]
    closed_from = _FIRST_INSTANT if record.deceased else access.blocked_since
    if closed_from is not None:
        windows = [part for window in windows for part in window.closed_from(closed_from)]
    kept = tuple(window for window in windows if window.begins < window.ends)
    instants = {edge for window in kept for edge in (window.begins, window.ends)} | set(_dates(record, zone))
    return Timeline(
        windows=kept,
        boundaries=tuple(sorted(instant for instant in instants if instant < FOREVER)),
        endings=tuple(span.ending(deceased=record.deceased) for span in spans if span.starts < span.ends < FOREVER),
        spans=tuple(spans),
    )


class Span:
    """One employment's edges: calendar days are counted in the zone, so 29 February and DST are right.

    The employment is there from `starts` up to `ends`, its account prepared from `prepared` and kept until `gone`.
    """

    def __init__(self, employment: Employment, entitlement: Entitlement, zone: ZoneInfo) -> None:
        self.employment = employment
        self.entitlement = entitlement
        self.first_day = _clamp(employment.valid_from)
        self.starts = start_of_day(self.first_day, zone)
        self.zone = zone
        self.ends = _affiliated_until(employment, self.starts, zone)
        self.prepared = start_of_day(shifted(self.first_day, -entitlement.lead_days), zone)

    def keep(self, until: datetime) -> None:
        """Let what has begun stay until an instant, at least."""
        if self.starts < self.ends:
            self.ends = max(self.ends, until)

    @property
    def last_day(self) -> date:
        """The last day in the zone on which it is there; its first when it ended before it began."""
        return max(self.first_day, _last_day(self.ends, self.zone))

    @property
    def gone(self) -> datetime:
        """When the days of grace are over."""
        if self.ends >= FOREVER:
            return FOREVER
        return start_of_day(shifted(_last_day(self.ends, self.zone), self.entitlement.grace_days + 1), self.zone)

    @property
    def expires(self) -> datetime | None:
        """When the directory itself shall close its account; never before we do."""
        days = self.entitlement.expires_days
        if days is None or self.ends >= FOREVER:
            return None
        return start_of_day(shifted(_last_day(self.ends, self.zone), days + 1), self.zone)

    def windows(self) -> list[Window]:
        """Return the phases of its account, in their order."""
        if self.ends <= self.starts:
            # Ended before it began: it was only ever prepared, so there is nothing to keep.
            return [Window(self.prepared, self.ends, Phase.DISABLED)]
        return [
            Window(self.prepared, self.starts, Phase.DISABLED),
            Window(self.starts, self.ends, Phase.ENABLED),
            Window(self.ends, self.gone, Phase.DISABLED),
        ]

    def ending(self, *, deceased: bool) -> Ending:
        """Return how it ends."""
        urgent = deceased or self.employment.end_reason in {EndReason.DISMISSAL, EndReason.DEATH}
        return Ending(self.employment.id, self.ends, self.employment.end_stated_at, urgent)


def _affiliated_until(employment: Employment, starts: datetime, zone: ZoneInfo) -> datetime:
    """Return when the affiliation ends: ingestion alone decides whether it outlasts the employment (DOMAIN 17, 20).

    It never does after a dismissal or a death, nor when the employment ended before it began.
    """
    if employment.ends_at is not None:
        return employment.ends_at
    ends = closing(employment.valid_to, zone)
    return ends if employment.lingers_until is None or ends <= starts else max(ends, employment.lingers_until)


def _dates(record: CoreRecord, zone: ZoneInfo) -> Iterator[datetime]:
    """Yield the instants at which main employment, title, unit or absence may change."""
    for employment in record.employments:
        if employment.cancelled:
            continue
        if employment.ends_at is not None:
            yield employment.ends_at
        parts: tuple[Employment | Assignment | Absence, ...] = (
            employment, *employment.assignments, *employment.absences,
        )  # fmt: skip
        for part in parts:
            yield start_of_day(_clamp(part.valid_from), zone)
            yield closing(part.valid_to, zone)


def closing(valid_to: date | None, zone: ZoneInfo) -> datetime:
    """Return when access closes after the inclusive last day; until further notice is `FOREVER` (also 9999-12-31)."""
    return FOREVER if valid_to is None or valid_to >= _OPEN else day_after(_clamp(valid_to), zone)


def shifted(day: date, days: int) -> date:
    """Return the day so many days away, within the years that the calendar can hold."""
    return _clamp(date.fromordinal(min(max(day.toordinal() + days, _FIRST.toordinal()), _OPEN.toordinal())))


def retained_until(closed_at: datetime, grace_days: int, zone: ZoneInfo) -> datetime:
    """Return when an account that was closed at `closed_at` has had its days of grace."""
    return start_of_day(shifted(local_date(closed_at, zone), grace_days), zone)


def longest_grace(entitlements: Iterable[Entitlement], default: int = 30) -> int:
    """Return the longest grace of the employments that have, or had, an account."""
    return max((entitlement.grace_days for entitlement in entitlements if entitlement.account), default=default)


def _clamp(day: date) -> date:
    return min(max(day, _FIRST), _OPEN)


def _last_day(ends: datetime, zone: ZoneInfo) -> date:
    return _OPEN if ends >= FOREVER else _clamp(local_date(ends - timedelta(microseconds=1), zone))
