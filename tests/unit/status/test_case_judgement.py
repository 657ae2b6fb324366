"""When a case is done: the rules one by one, and their independence of order."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from uuid import UUID

import pytest

from contracts.codes import CaseKind, Reason
from services.status.domain.cases import Case, CaseState, Evaluated, Revision, judge, state_of

T0 = datetime(2026, 5, 1, 8, tzinfo=UTC)
START = datetime(2026, 6, 1, tzinfo=UTC)
LDAP = ("accounts", "ldap")
PHONES = ("phones", "operator")
CASE = UUID(int=1)


def minutes(count: float) -> datetime:
    return T0 + timedelta(minutes=count)


def revision(number: int, reason: Reason = Reason.HIRE, *, effective: datetime = START, at: float = 0) -> Revision:
    return Revision(
        organisation="alvsund",
        person=UUID(int=7),
        generation=1,
        revision=number,
        case_id=CASE,
        kind=CaseKind.JOINER,
        reason=reason,
        effective_at=effective,
        accepted_at=minutes(at),
        recorded_at=minutes(at),
    )


def evaluated(
    number: int,
    *,
    as_of: datetime = START,
    at: float = 1,
    version: int = 1,
    evaluator: tuple[str, str] = LDAP,
    blocked: bool = False,
    blocked_from: datetime | None = None,
    generation: int = 1,
) -> Evaluated:
    return Evaluated(
        evaluator,
        generation=1,
        version=version,
        record_generation=generation,
        revision=number,
        as_of=as_of,
        recorded_at=minutes(at),
        blocked=blocked,
        blocked_from=blocked_from,
    )


EVALUATORS = {LDAP: T0}


def test_a_case_is_done_when_its_evaluator_has_verified_it_at_its_effective_instant() -> None:
    case = judge([revision(1)], EVALUATORS, [evaluated(1, at=3)])
    assert case.closed_at == case.done_at == minutes(3)


@pytest.mark.parametrize(
    ("evaluation", "why"),
    [
        (evaluated(0), "an older revision was evaluated"),
        (evaluated(1, as_of=START - timedelta(seconds=1)), "evaluated before it takes effect"),
        (evaluated(1, blocked=True), "a step without a due time is open"),
        (evaluated(1, blocked_from=START), "a step due at the effective instant is open"),
        (evaluated(1, evaluator=PHONES), "somebody else evaluated"),
    ],
)
def test_a_case_is_not_done_when(evaluation: Evaluated, why: str) -> None:
    assert judge([revision(1)], EVALUATORS, [evaluation]).closed_at is None, why


def test_a_later_step_is_a_follow_up_and_does_not_keep_the_case_open() -> None:
    later = evaluated(1, blocked_from=START + timedelta(days=90))
    assert judge([revision(1)], EVALUATORS, [later]).closed_at is not None


def test_a_newer_revision_of_the_person_closes_the_case_too() -> None:
    assert judge([revision(1)], EVALUATORS, [evaluated(9)]).closed_at is not None


def test_without_any_evaluator_nothing_is_ever_done() -> None:
    assert judge([revision(1)], {}, [evaluated(1)]).closed_at is None


def test_the_slowest_evaluator_decides_when() -> None:
    both = {LDAP: T0, PHONES: T0}
    assert judge([revision(1)], both, [evaluated(1)]).closed_at is None
    done = judge([revision(1)], both, [evaluated(1), evaluated(1, evaluator=PHONES, at=9)])
    assert done.closed_at == minutes(9)


def test_an_evaluator_that_joined_later_is_not_waited_for() -> None:
    later = {LDAP: T0, PHONES: minutes(1)}
    assert judge([revision(1)], later, [evaluated(1)]).closed_at is not None


def test_done_at_persists_when_a_later_evaluation_has_an_open_step() -> None:
    seen = [evaluated(1, at=3), evaluated(2, version=2, at=5, blocked=True)]
    assert judge([revision(1)], EVALUATORS, seen).done_at == minutes(3)


def test_a_correction_opens_the_case_again_but_keeps_when_it_was_first_done() -> None:
    both = [revision(1), revision(2, Reason.CORRECTION, at=10)]
    open_again = judge(both, EVALUATORS, [evaluated(1, at=3)])
    assert (open_again.closed_at, open_again.done_at) == (None, minutes(3))
    closed = judge(both, EVALUATORS, [evaluated(1, at=3), evaluated(2, version=2, at=12)])
    assert (closed.closed_at, closed.done_at) == (minutes(12), minutes(3))
    assert closed.reasons == (Reason.HIRE, Reason.CORRECTION)


def test_what_satisfies_an_earlier_revision_only_after_its_correction_does_not_count_for_it() -> None:
    moved = [revision(1), revision(2, Reason.HIRE_CHANGED, effective=START + timedelta(days=30), at=10)]
    case = judge(moved, EVALUATORS, [evaluated(2, as_of=START, at=11)])
    assert (case.closed_at, case.done_at) == (None, None)


def test_a_cancelled_hire_closes_when_its_revision_is_handled_whatever_its_start_date() -> None:
    both = [revision(1), revision(2, Reason.HIRE_CANCELLED, at=10)]
    early = minutes(12)
    assert judge(both, EVALUATORS, [evaluated(1, as_of=early)]).closed_at is None
    assert judge(both, EVALUATORS, [evaluated(2, as_of=early, at=12, blocked_from=early)]).closed_at is None
    case = judge(both, EVALUATORS, [evaluated(2, as_of=early, at=12)])
    assert case.cancelled
    assert case.closed_at == minutes(12)


def test_after_a_restore_an_evaluation_of_the_old_generation_does_not_close_a_new_revision() -> None:
    restored = replace(revision(1), generation=2)
    assert judge([restored], EVALUATORS, [evaluated(5)]).closed_at is None
    assert judge([restored], EVALUATORS, [replace(evaluated(5), generation=2)]).closed_at is None
    assert judge([restored], EVALUATORS, [evaluated(1, generation=2)]).closed_at is not None


def test_after_a_restore_an_evaluation_of_the_new_generation_closes_what_the_old_one_left_open() -> None:
    assert judge([revision(5)], EVALUATORS, [evaluated(1, generation=2)]).closed_at is not None


def test_any_order_gives_the_same_case() -> None:
    revisions = [revision(1), revision(2, Reason.CORRECTION, at=10), revision(3, Reason.CORRECTION, at=20)]
    evaluations = [evaluated(1, at=3), evaluated(2, version=2, at=12, blocked=True), evaluated(3, version=3, at=22)]
    results = {
        judge(list(some), EVALUATORS, list(seen))
        for some in permutations(revisions)
        for seen in permutations(evaluations)
    }
    assert len(results) == 1
    assert results.pop().done_at == minutes(3)


def judged(*, closed: bool = False, cancelled: bool = False) -> Case:
    revisions = [revision(1)] + ([revision(2, Reason.HIRE_CANCELLED, at=1)] if cancelled else [])
    return judge(revisions, EVALUATORS, [evaluated(2)] if closed else [])


@pytest.mark.parametrize(
    ("case", "stuck", "retrying_minutes", "business_now", "expected"),
    [
        (judged(), False, None, START - timedelta(days=1), CaseState.WAITING),
        (judged(), False, None, START, CaseState.RUNNING),
        (judged(), True, None, START - timedelta(days=1), CaseState.ATTENTION),
        (judged(), False, 14, START, CaseState.RUNNING),
        (judged(), False, 16, START, CaseState.ATTENTION),
        (judged(cancelled=True), False, None, START - timedelta(days=1), CaseState.RUNNING),
        (judged(closed=True), True, 99, START, CaseState.DONE),
        (judged(closed=True, cancelled=True), False, None, START, CaseState.CANCELLED),
    ],
)
def test_the_state_follows_from_the_facts_and_the_clock(
    case: Case, stuck: bool, retrying_minutes: int | None, business_now: datetime, expected: CaseState
) -> None:
    now = minutes(1000)
    since = None if retrying_minutes is None else now - timedelta(minutes=retrying_minutes)
    assert state_of(case, stuck=stuck, retrying_since=since, business_now=business_now, now=now) is expected
