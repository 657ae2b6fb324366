"""Joiner, mover or leaver: what a difference between two records means, as a table read from the top.

The type of an event is that of its case (DESIGN 6). A person *leaves* when no employment holds, no pool (hourly staff)
and no bridge (a gap to a recorded next employment) keeps the affiliation; who then comes back is rehired. An end that
is moved or removed after it was reached reopens the same employment: a mover, express, because someone stands outside.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from contracts.base import Message
from contracts.codes import CaseKind, Lane, Reason
from contracts.person import CoreRecord, Employment
from services.ingestion.domain.change import Change
from services.ingestion.domain.spans import Phase, Standing, last_boundary, left_at, phase, span, standing


class OpenCase(Message):
    """A case whose effect lies ahead: corrections of it, and its date when that is reached, keep its id."""

    id: UUID
    kind: CaseKind
    reason: Reason
    employment: UUID | None = None
    effective_at: datetime
    accepted_at: datetime


@dataclass(frozen=True)
class Classification:
    """What a revision is about. `continues` is the open case it belongs to; None opens a new one."""

    kind: CaseKind
    reason: Reason
    effective_at: datetime
    lane: Lane
    employment: UUID | None = None
    continues: OpenCase | None = None


Subject = Callable[[Change], Sequence[Employment]]


def _nobody(_change: Change) -> Sequence[Employment]:
    return ()


@dataclass(frozen=True)
class Rule:
    """One row: the first whose `when` holds decides. `about` is the employment that a later correction points at."""

    kind: CaseKind
    reason: Reason
    when: Callable[[Change], object]
    effective_at: Callable[[Change], datetime] = lambda change: change.now
    about: Subject = _nobody


JOINER, MOVER, LEAVER = CaseKind.JOINER, CaseKind.MOVER, CaseKind.LEAVER
NONE, AHEAD, HERE = Standing.NONE, Standing.AHEAD, Standing.HERE


def _cancelled(change: Change) -> bool:
    withdrawn = change.was is AHEAD or (change.was is HERE and change.ended)
    return bool(withdrawn) and change.stands is NONE and change.only_cancelled


def _left(change: Change) -> bool:
    if change.before is None:
        return change.stands is NONE and any(
            phase(item, change.now, change.zone) is Phase.ENDED for item in change.after.core.employments
        )
    gone = change.was is HERE and change.stands is not HERE and not change.postponed
    return gone or (change.was is AHEAD and change.stands is NONE)


def _returned(change: Change) -> bool:
    return change.was is NONE and change.stands is not NONE


def _has_been_here(change: Change) -> bool:
    return any(phase(item, change.now, change.zone) is Phase.ENDED for item in change.known.values())


ALIAS = (
    Rule(MOVER, Reason.MERGED, lambda c: c.mirrors and c.merged),
    Rule(MOVER, Reason.CORRECTION, lambda c: c.mirrors),
)
"""An id that was merged into another mirrors that person: nobody joins by it, and it leaves with the person."""

COMING_AND_GOING = (
    Rule(LEAVER, Reason.DEATH, lambda c: _left(c) and c.died, lambda c: c.leaves_at),
    Rule(JOINER, Reason.HIRE_CANCELLED, _cancelled),
    Rule(LEAVER, Reason.DISMISSAL, lambda c: _left(c) and c.dismissed, lambda c: c.leaves_at),
    Rule(LEAVER, Reason.END, _left, lambda c: c.leaves_at),
    Rule(MOVER, Reason.END_DATE_CHANGED, lambda c: _returned(c) and c.reopened),
    Rule(JOINER, Reason.REHIRE, lambda c: _returned(c) and _has_been_here(c), lambda c: c.joins_at),
    Rule(JOINER, Reason.HIRE, _returned, lambda c: c.joins_at),
    Rule(
        JOINER,
        Reason.HIRE_CHANGED,
        lambda c: (c.postponed and c.stands is AHEAD) or (c.was is AHEAD and (c.start_moved or c.added or c.lost)),
        lambda c: c.joins_at,
    ),
)
"""The person comes, goes, or is about to."""

WHILE_HERE = (
    Rule(MOVER, Reason.MERGED, lambda c: c.merged),
    Rule(MOVER, Reason.SPLIT, lambda c: c.parted),
    Rule(
        MOVER,
        Reason.FORM_CONVERSION,
        lambda c: c.conversions,
        lambda c: c.first_start(c.conversions),
        lambda c: c.conversions,
    ),
    Rule(MOVER, Reason.EMPLOYMENT_ENDED, lambda c: c.ended, lambda c: c.ends_at),
    Rule(MOVER, Reason.EMPLOYMENT_ADDED, lambda c: c.added, lambda c: c.first_start(c.added), lambda c: c.added),
    Rule(MOVER, Reason.HIRE_CANCELLED, lambda c: c.cancelled_ahead, about=lambda c: c.cancelled_ahead),
    Rule(
        MOVER,
        Reason.HIRE_CHANGED,
        lambda c: c.start_moved,
        lambda c: c.first_start(c.start_moved),
        lambda c: c.start_moved,
    ),
    Rule(MOVER, Reason.DEATH, lambda c: c.died),
    Rule(MOVER, Reason.ACCESS_BLOCKED, lambda c: c.blocked),
    Rule(MOVER, Reason.ACCESS_RESTORED, lambda c: c.restored),
    Rule(MOVER, Reason.ACCESS_KEPT, lambda c: c.kept),
    Rule(MOVER, Reason.PROTECTION_CHANGED, lambda c: c.protection_changed),
    Rule(MOVER, Reason.END_DATE_CHANGED, lambda c: c.ends_moved),
    Rule(MOVER, Reason.TRANSFER, lambda c: c.transferred, lambda c: c.transfers_at, lambda c: [c.transferred[0][0]]),
    Rule(MOVER, Reason.ABSENCE_CHANGED, lambda c: c.absences, lambda c: c.absent_at),
    Rule(MOVER, Reason.NAME_CHANGE, lambda c: c.renamed),
    Rule(MOVER, Reason.IDENTITY_CHANGE, lambda c: c.identified),
    Rule(MOVER, Reason.CORRECTION, lambda c: c.differs),
)
"""What happens to a person who stays. Before the start the same rows belong to the joiner's case."""


def classify(change: Change, cases: Sequence[OpenCase]) -> Classification | None:
    """Say what a fact changed, or None when it changed nothing.

    Args:
        change: The records before and after the fact, at business time.
        cases: The person's open cases.
    """
    if not change.differs:
        return None
    rule = next(rule for rule in ALIAS + COMING_AND_GOING + WHILE_HERE if rule.when(change))
    kind, effective_at = rule.kind, rule.effective_at(change)
    if change.was is AHEAD and change.stands is not NONE and kind is MOVER and not change.mirrors:
        kind, effective_at = JOINER, change.joins_at
    about = rule.about(change)
    employment = about[0].id if about and kind is MOVER else None
    return Classification(
        kind=kind,
        reason=rule.reason,
        effective_at=effective_at,
        lane=_lane(change, kind),
        employment=employment,
        continues=_continued(kind, rule.reason, employment, change.now, cases),
    )


def _lane(change: Change, kind: CaseKind) -> Lane:
    if kind is LEAVER:
        # who has left before we first heard of them has nothing to close
        return Lane.BULK if change.before is None else Lane.EXPRESS
    return Lane.EXPRESS if change.urgent else Lane.BULK


def _continued(
    kind: CaseKind, reason: Reason, employment: UUID | None, now: datetime, cases: Sequence[OpenCase]
) -> OpenCase | None:
    """A correction of what is still ahead keeps its case."""
    ahead = [case for case in cases if case.effective_at > now and case.kind is kind]
    if kind is JOINER:
        return next(iter(ahead), None)
    if kind is LEAVER or employment is None:
        return None
    transfer = reason is Reason.TRANSFER
    return next(
        (case for case in ahead if case.employment == employment and (case.reason is Reason.TRANSFER) == transfer), None
    )


def classify_reached(
    record: CoreRecord, since: datetime, now: datetime, zone: ZoneInfo, cases: Sequence[OpenCase]
) -> Classification | None:
    """Say what the passing of time changed in (`since`, `now`], or None: one revision however late we look.

    A start or a transfer keeps the case that announced it; a last end opens its leaver case here.
    """
    boundary = last_boundary(record, since, now, zone)
    if boundary is None:
        return None
    was, stands = standing(record, since, zone), standing(record, now, zone)
    if stands is not HERE:
        spans = [span(item, zone) for item in record.employments]
        ended = any(since < item.ends <= now for item in spans if item.starts < item.ends)
        if was is not HERE and not ended:
            return None
        return Classification(LEAVER, Reason.DATE_REACHED, left_at(record, now, zone), Lane.BULK)
    kind, effective_at = MOVER, boundary
    if was is not HERE and record.alias_of is None:
        starts = (span(item, zone).starts for item in record.employments)
        kind, effective_at = JOINER, min((start for start in starts if since < start <= now), default=boundary)
    reached = [case for case in cases if case.kind is kind and since < case.effective_at <= now]
    continues = max(reached, key=lambda case: case.effective_at, default=None)
    return Classification(kind, Reason.DATE_REACHED, effective_at, Lane.BULK, continues=continues)
