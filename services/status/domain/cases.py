"""When a case is done. Pure: the same facts in any order give the same judgement.

Every input is a set that only grows (revisions, evaluations) or a newest-wins fact, and every result is a minimum or a
maximum over such a set, so neither order nor repetition can change it. `done_at` persists for that reason, not because
it is written once: an evaluation that once satisfied a case goes on doing so.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import TypeAlias
from uuid import UUID

from contracts.codes import CaseKind, Reason

PATIENCE = timedelta(minutes=15)
"""How long a step may be retried before someone should look (DESIGN 2: removals alarm after 15 minutes)."""

EvaluatorKey: TypeAlias = tuple[str, str]
"""One service at one target."""


class CaseState(StrEnum):
    """Where a case stands. `waiting` and `attention` depend on the clock and are never stored."""

    WAITING = "waiting"
    RUNNING = "running"
    ATTENTION = "attention"
    DONE = "done"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Revision:
    """One revision of a person, as far as its case is concerned; `recorded_at` is when ingestion made it."""

    organisation: str
    person: UUID
    generation: int
    revision: int
    case_id: UUID
    kind: CaseKind
    reason: Reason
    effective_at: datetime
    accepted_at: datetime
    recorded_at: datetime
    baseline: bool = False

    @property
    def cancels(self) -> bool:
        """Whether this revision calls the case off."""
        return self.reason is Reason.HIRE_CANCELLED


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What one evaluation says about readiness.

    `blocked`: a mandatory step that is due now is not verified; `blocked_from`: the earliest due time of a dated one.
    """

    evaluator: EvaluatorKey
    generation: int
    version: int
    record_generation: int
    revision: int
    as_of: datetime
    recorded_at: datetime
    blocked: bool
    blocked_from: datetime | None = None

    def handles(self, revision: Revision) -> bool:
        """Tell whether this evaluation has brought `revision` home: seen it, late enough, and all due steps verified.

        A cancelled hire is home as soon as its revision is handled, whatever start date it still carries.
        """
        seen = (self.record_generation, self.revision) >= (revision.generation, revision.revision)
        if not seen or self.blocked:
            return False
        deadline = self.as_of if revision.cancels else revision.effective_at
        return self.as_of >= deadline and (self.blocked_from is None or self.blocked_from > deadline)


@dataclass(frozen=True, slots=True)
class Case:
    """A case as it is stored: everything about it that does not depend on the clock.

    `closed_at` is when its newest revision was brought home, null while that is open; `done_at` when it was done for
    the first time, which a later correction does not take back.
    """

    organisation: str
    case_id: UUID
    person: UUID
    kind: CaseKind
    reason: Reason
    reasons: tuple[Reason, ...]
    opened_revision: int
    generation: int
    revision: int
    effective_at: datetime
    accepted_at: datetime
    updated_at: datetime
    baseline: bool
    cancelled: bool
    closed_at: datetime | None
    done_at: datetime | None


def satisfied_at(
    revision: Revision, evaluators: Iterable[EvaluatorKey], evaluated: Sequence[Evaluated]
) -> datetime | None:
    """Return when the last of `evaluators` brought `revision` home; None while one is missing or there is none."""
    moments: list[datetime] = []
    for evaluator in evaluators:
        times = [e.recorded_at for e in evaluated if e.evaluator == evaluator and e.handles(revision)]
        if not times:
            return None
        moments.append(min(times))
    return max(moments, default=None)


def judge(
    revisions: Sequence[Revision], since: Mapping[EvaluatorKey, datetime], evaluated: Sequence[Evaluated]
) -> Case:
    """Fold the revisions of one case, in any order, and judge it.

    An evaluator counts when it was registered no later than the case was accepted. An earlier revision's completion
    counts only if it was reached before the next revision of the case was recorded: after that it was not its own.
    """
    ordered = sorted(revisions, key=lambda r: (r.generation, r.revision))
    first, last = ordered[0], ordered[-1]
    accepted_at = min(r.accepted_at for r in ordered)
    evaluators = [key for key, start in since.items() if start <= accepted_at]
    closed_at = satisfied_at(last, evaluators, evaluated)
    reached = [] if closed_at is None else [closed_at]
    for before, after in pairwise(ordered):
        moment = satisfied_at(before, evaluators, evaluated)
        if moment is not None and moment <= after.recorded_at:
            reached.append(moment)
    return Case(
        organisation=last.organisation,
        case_id=last.case_id,
        person=last.person,
        kind=last.kind,
        reason=last.reason,
        reasons=tuple(dict.fromkeys(r.reason for r in ordered)),
        opened_revision=first.revision,
        generation=last.generation,
        revision=last.revision,
        effective_at=last.effective_at,
        accepted_at=accepted_at,
        updated_at=last.recorded_at,
        baseline=first.baseline,
        cancelled=last.cancels,
        closed_at=closed_at,
        done_at=min(reached, default=None),
    )


def state_of(
    case: Case, *, stuck: bool, retrying_since: datetime | None, business_now: datetime, now: datetime
) -> CaseState:
    """Return the state at an instant; the store says the same in SQL, and a test compares the two.

    Args:
        case: The stored case.
        stuck: A step of the person is parked or held.
        retrying_since: When the longest of the person's present retries began (database clock).
        business_now: Decides whether the case has begun.
        now: Database clock, for the patience with retries.
    """
    if case.closed_at is not None:
        return CaseState.CANCELLED if case.cancelled else CaseState.DONE
    if stuck or (retrying_since is not None and retrying_since < now - PATIENCE):
        return CaseState.ATTENTION
    if not case.cancelled and case.effective_at > business_now:
        return CaseState.WAITING
    return CaseState.RUNNING
