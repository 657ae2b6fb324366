"""What differs between two records of a person, seen at an instant; the words that the classification table uses."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from uuid import UUID
from zoneinfo import ZoneInfo

from contracts.codes import AbsenceExtent, EndReason, Form
from contracts.person import Absence, Access, Assignment, Employment
from services.ingestion.domain.projection import Records
from services.ingestion.domain.spans import BRIDGE_DAYS, Phase, Span, Standing, gap, left_at, phase, span, standing
from services.kernel.clock import day_after, local_date, start_of_day

TIME_LIMITED = frozenset({Form.FIXED_TERM, Form.SUBSTITUTE, Form.SEASONAL, Form.PROBATION, Form.HOURLY, Form.TRAINEE})
"""Forms that may pass into a permanent employment (LAS 5-6 §§); an elected office or a consultant's does not."""

OVERLAP_DAYS = 14
"""A permanent employment that starts at most this long before a time-limited one ends continues it."""


@dataclass(frozen=True)
class Change:
    """The record before and after, at business time `now`. `baseline`: the fact is part of a baseline import."""

    before: Records | None
    after: Records
    now: datetime
    zone: ZoneInfo
    baseline: bool = False

    @cached_property
    def was(self) -> Standing:
        """Where the person stood by the record before."""
        return standing(self.before.core, self.now, self.zone) if self.before else Standing.NONE

    @cached_property
    def stands(self) -> Standing:
        """Where the person stands by the record after."""
        return standing(self.after.core, self.now, self.zone)

    @cached_property
    def known(self) -> dict[UUID, Employment]:
        """Employments before."""
        return {item.id: item for item in self.before.core.employments} if self.before else {}

    def moved(self, start: Iterable[Phase | None], end: Iterable[Phase]) -> list[Employment]:
        """Return the employments (as after) that went from one of the phases to another; None: unknown before."""
        sources, targets = frozenset(start), frozenset(end)
        return [
            item
            for item in self.after.core.employments
            if self._before(item.id) in sources and phase(item, self.now, self.zone) in targets
        ]

    def _before(self, employment: UUID) -> Phase | None:
        known = self.known.get(employment)
        return phase(known, self.now, self.zone) if known else None

    def _pairs(self) -> list[tuple[Employment, Employment]]:
        return [(self.known[item.id], item) for item in self.after.core.employments if item.id in self.known]

    @cached_property
    def differs(self) -> bool:
        """Anything at all differs, in either section."""
        return self.before != self.after

    @cached_property
    def lost(self) -> list[Employment]:
        """Employments that stood or lay ahead and do not any more."""
        return self.moved((Phase.ACTIVE, Phase.FUTURE), (Phase.ENDED, Phase.VOID))

    @cached_property
    def only_cancelled(self) -> bool:
        """All that was lost never became an employment."""
        lost = self.lost
        return bool(lost) and all(phase(item, self.now, self.zone) is Phase.VOID for item in lost)

    @cached_property
    def ended(self) -> list[Employment]:
        """Active before, not any more."""
        return self.moved((Phase.ACTIVE,), (Phase.ENDED, Phase.VOID))

    @cached_property
    def added(self) -> list[Employment]:
        """New, or recorded again after a cancellation, and active or ahead."""
        return self.moved((None, Phase.VOID), (Phase.ACTIVE, Phase.FUTURE))

    @cached_property
    def cancelled_ahead(self) -> list[Employment]:
        """Lay ahead, and never came to be."""
        return self.moved((Phase.FUTURE,), (Phase.VOID,))

    @cached_property
    def start_moved(self) -> list[Employment]:
        """Not yet begun before, with another start now; or begun by mistake and now ahead."""
        ahead = self.moved((Phase.FUTURE,), (Phase.FUTURE, Phase.ACTIVE))
        moved = [item for item in ahead if self.known[item.id].valid_from != item.valid_from]
        return moved + self.postponed

    @cached_property
    def postponed(self) -> list[Employment]:
        """Active before, ahead now: the start was wrong."""
        return self.moved((Phase.ACTIVE,), (Phase.FUTURE,))

    @cached_property
    def reopened(self) -> list[Employment]:
        """Ended before; its end was extended or removed."""
        return self.moved((Phase.ENDED,), (Phase.ACTIVE,))

    @cached_property
    def ends_moved(self) -> list[Employment]:
        """Known before and after, with another end."""
        return [new for old, new in self._pairs() if self.span(old).ends != self.span(new).ends]

    @cached_property
    def conversions(self) -> list[Employment]:
        """Permanent employments that continue a time-limited one, with no gap or one that is bridged."""
        changed = [new for old, new in self._pairs() if old.form in TIME_LIMITED and new.form is Form.PERMANENT]
        limited = [item for item in self.after.core.employments if item.form in TIME_LIMITED and not item.cancelled]
        return changed + [
            item
            for item in self.added
            if item.form is Form.PERMANENT and any(self._continues(item, other) for other in limited)
        ]

    def _continues(self, item: Employment, other: Employment) -> bool:
        if other.valid_to is None:
            return False
        ends, starts = self.span(other).ends, self.span(item).starts
        return -OVERLAP_DAYS <= gap(ends, starts, self.zone) <= BRIDGE_DAYS[other.form]

    @cached_property
    def transferred(self) -> list[tuple[Employment, Assignment]]:
        """Assignments whose unit, title, manager or cost centre is new from their start on."""
        found = []
        for old, new in self._pairs():
            placed = {_place(item) for item in old.assignments}
            found += [(new, item) for item in new.assignments if _place(item) not in placed]
            if len(new.assignments) < len(old.assignments) and not found:
                found += [(new, item) for item in new.assignments[-1:]]
        return found

    @cached_property
    def absences(self) -> list[Absence]:
        """Absences that are new, changed or gone."""
        return [item for old, new in self._pairs() for item in set(old.absences) ^ set(new.absences)]

    @cached_property
    def renamed(self) -> bool:
        """Another name."""
        return self.before is not None and self.before.core.name != self.after.core.name

    @cached_property
    def protection_changed(self) -> bool:
        """Another protection level."""
        return self.before is not None and self.before.core.protection != self.after.core.protection

    @cached_property
    def access(self) -> tuple[Access, Access]:
        """What operators had decided, and have decided now."""
        before = self.before.core.access if self.before else None
        return before or Access(), self.after.core.access or Access()

    @cached_property
    def blocked(self) -> bool:
        """An operator closes access."""
        before, after = self.access
        return before.blocked_since is None and after.blocked_since is not None

    @cached_property
    def restored(self) -> bool:
        """An operator lifts a block."""
        before, after = self.access
        return before.blocked_since is not None and after.blocked_since is None

    @cached_property
    def kept(self) -> bool:
        """An operator lets access outlast the employment, or not any more."""
        before, after = self.access
        return before.kept_until != after.kept_until

    @cached_property
    def mirrors(self) -> bool:
        """The id is an alias, and stays or becomes one while its person is here or ahead."""
        return self.after.core.alias_of is not None and self.stands is not Standing.NONE

    @cached_property
    def merged(self) -> bool:
        """Another id was merged into this one, or this one into another."""
        before = self.before.core if self.before else None
        known = (before.aliases, before.alias_of) if before else ((), None)
        return bool(set(self.after.core.aliases) - set(known[0])) or self.after.core.alias_of not in (None, known[1])

    @cached_property
    def parted(self) -> bool:
        """What was one is two: nothing else takes an employment out of a record."""
        if self.before is None:
            return False
        kept = {item.id for item in self.after.core.employments}
        gone = bool(set(self.before.core.aliases) - set(self.after.core.aliases)) or bool(self.known.keys() - kept)
        return gone or (self.before.core.alias_of is not None and self.after.core.alias_of is None)

    @cached_property
    def identified(self) -> bool:
        """Other identifiers, birth date or employee number."""
        if self.before is None:
            return False
        old, new = self.before.confidential, self.after.confidential
        numbers = any(before.employee_number != after.employee_number for before, after in self._pairs())
        return numbers or (old.identifiers, old.birth_date) != (new.identifiers, new.birth_date)

    @cached_property
    def died(self) -> bool:
        """The death, or an end by death, is new."""
        before = self.before is not None and self.before.core.deceased
        return (self.after.core.deceased and not before) or self._ends_by(EndReason.DEATH)

    @cached_property
    def dismissed(self) -> bool:
        """An end by dismissal is new."""
        return self._ends_by(EndReason.DISMISSAL)

    def _ends_by(self, reason: EndReason) -> bool:
        return any(
            item.end_reason is reason and (item.id not in self.known or self.known[item.id].end_reason is not reason)
            for item in self.after.core.employments
        )

    @cached_property
    def urgent(self) -> bool:
        """Someone waits at a door, or a door stands open: the express lane."""
        if self.protection_changed or self.ended or self.reopened or self.died or self.dismissed:
            return True
        if self.access[0] != self.access[1]:
            return True
        today = local_date(self.now, self.zone)
        closing = any(
            item.valid_to is not None and item.valid_to <= today
            for new in self.ends_moved
            for item in (new, self.known[new.id])
        )
        started = any(self.span(item).phase(self.now) is Phase.ACTIVE for item in (*self.added, *self.start_moved))
        return closing or bool(self.postponed) or (started and not self.baseline)

    def span(self, employment: Employment) -> Span:
        """When an employment gives access."""
        return span(employment, self.zone)

    def first_start(self, employments: Iterable[Employment]) -> datetime:
        """The earliest start among employments; now when there are none."""
        return min((self.span(item).starts for item in employments), default=self.now)

    @cached_property
    def joins_at(self) -> datetime:
        """When the person comes: the start of what is active, else of what comes first."""
        real = [item for item in self.after.core.employments if self.span(item).phase(self.now) is not Phase.VOID]
        active = [item for item in real if self.span(item).phase(self.now) is Phase.ACTIVE]
        if not active and self.stands is Standing.HERE:
            # between two bookings, or in a gap that is bridged: what began last is what the person came with
            return max(self.span(item).starts for item in real if self.span(item).starts <= self.now)
        return self.first_start(
            active or [item for item in real if self.span(item).phase(self.now) is Phase.FUTURE] or real
        )

    @cached_property
    def leaves_at(self) -> datetime:
        """When the person left."""
        return left_at(self.after.core, self.now, self.zone)

    @cached_property
    def ends_at(self) -> datetime:
        """When the employments that were lost while others stand ended."""
        return max((self.span(item).ends for item in self.ended), default=self.now)

    @cached_property
    def transfers_at(self) -> datetime:
        """When the first new assignment begins, never before its employment."""
        return min(
            (
                max(start_of_day(item.valid_from, self.zone), self.span(employment).starts)
                for employment, item in self.transferred
            ),
            default=self.now,
        )

    @cached_property
    def absent_at(self) -> datetime:
        """When, from now on, it first makes a difference to who is away."""
        edges = {start_of_day(item.valid_from, self.zone) for item in self.absences}
        edges |= {day_after(item.valid_to, self.zone) for item in self.absences if item.valid_to is not None}
        instants = sorted({self.now} | {edge for edge in edges if edge > self.now})
        return next((at for at in instants if self._away_differs(local_date(at, self.zone))), self.now)

    def _away_differs(self, on: date) -> bool:
        return any(_away(old, on) != _away(new, on) for old, new in self._pairs())


def _away(employment: Employment, on: date) -> frozenset[AbsenceExtent]:
    return frozenset(
        item.extent
        for item in employment.absences
        if item.valid_from <= on and (item.valid_to is None or on <= item.valid_to)
    )


def _place(item: Assignment) -> tuple[object, ...]:
    return (item.unit, item.title, item.manager, item.cost_centre, item.valid_from)
