"""What an evaluation's steps mean: readiness, troubles, what remains, and the state a target is wanted in. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from contracts.codes import AccountState, StepState
from contracts.facts import Parameter, Problem, Step
from services.status.domain.cases import EvaluatorKey

TROUBLED = (StepState.HELD, StepState.PARKED, StepState.RETRYING, StepState.WAITING)
"""States that may need a hand, the most urgent first."""

_STATES = {
    **{state.value: state for state in AccountState},
    "created": AccountState.DISABLED,
    "deleted": AccountState.ABSENT,
}


def readiness(steps: Iterable[Step]) -> tuple[bool, datetime | None]:
    """Return (a mandatory step due now is open, earliest due time of an open dated mandatory step)."""
    open_ = [step for step in steps if step.mandatory and step.state is not StepState.VERIFIED]
    return any(step.due is None for step in open_), min((s.due for s in open_ if s.due is not None), default=None)


def worst(states: Iterable[StepState]) -> StepState | None:
    """Return the most urgent troubled state, or None when there is no trouble."""
    present = set(states)
    return next((state for state in TROUBLED if state in present), None)


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass of an evaluator that was said by an evaluation, a step or both: its epoch and its worst state."""

    evaluator: EvaluatorKey
    generation: int
    epoch: int
    recorded_at: datetime
    trouble: StepState | None


@dataclass(frozen=True, slots=True)
class Troubled:
    """One troubled step of the newest pass; `attempt` is known of a pass's own step, `due` of an evaluation's only."""

    evaluator: EvaluatorKey
    state: StepState
    code: str
    problem: Problem | None
    hold: UUID | None
    revision: int
    recorded_at: datetime
    attempt: int | None = None
    retry_at: datetime | None = None
    due: datetime | None = None


def merge(passes: Iterable[Pass]) -> list[Pass]:
    """Return one pass per epoch, in order: what an evaluation and a step say of the same one counts together."""
    found: dict[tuple[int, int], Pass] = {}
    for one in passes:
        known = found.get((one.generation, one.epoch))
        if known is not None:
            trouble = worst(state for state in (one.trouble, known.trouble) if state is not None)
            one = replace(one, trouble=trouble, recorded_at=min(one.recorded_at, known.recorded_at))
        found[one.generation, one.epoch] = one
    return [found[epoch] for epoch in sorted(found)]


def condense(details: Sequence[Troubled]) -> list[Troubled]:
    """Return the troubled steps of one epoch: the evaluation's, which know their attempt from the pass's own step.

    Without any in the evaluation the pass's step itself is the trouble.
    """
    own = next((one for one in details if one.attempt is not None), None)
    steps = [one for one in details if one.attempt is None and one.state in TROUBLED]
    if not steps:
        return [own] if own is not None and own.state in TROUBLED else []
    if own is not None:
        steps = [replace(one, attempt=own.attempt, retry_at=own.retry_at, hold=one.hold or own.hold) for one in steps]
    return sorted(steps, key=lambda one: (TROUBLED.index(one.state), one.code))


def trouble_since(passes: Sequence[Pass]) -> datetime | None:
    """Return when the present trouble of one evaluator began: its first troubled pass after the last good one.

    To wait is no failure: a retry after weeks of waiting began with itself.
    """
    ordered = sorted(passes, key=lambda one: (one.generation, one.epoch))
    if not ordered or ordered[-1].trouble is None:
        return None
    since, waits = ordered[-1].recorded_at, ordered[-1].trouble is StepState.WAITING
    for one in reversed(ordered):
        if one.trouble is None or (one.trouble is StepState.WAITING) is not waits:
            break
        since = one.recorded_at
    return since


def hold_of(parameters: Mapping[str, Parameter], problem: Problem | None) -> UUID | None:
    """Return the guard's hold that a step names in its problem's or its own parameter `hold`."""
    for candidate in ((problem.parameters if problem else {}).get("hold"), parameters.get("hold")):
        if isinstance(candidate, str):
            try:
                return UUID(candidate)
            except ValueError:
                continue
    return None


def remaining(steps: Iterable[Step]) -> list[Step]:
    """Return the mandatory steps that are not verified, soonest first; those without a due time are due now."""
    open_ = [step for step in steps if step.mandatory and step.state is not StepState.VERIFIED]
    return sorted(open_, key=lambda step: (step.due is not None, step.due.timestamp() if step.due else 0.0))


def desired_state(steps: Iterable[Step], observed: AccountState | None, business_now: datetime) -> AccountState | None:
    """Return the state the target shall be in at `business_now`, as far as the steps tell.

    A step tells it by its parameter `state`, else by the last word of its code (`account.enabled`). The open mandatory
    step that became due last decides; without one the observed state is the desired one.
    """
    due = [step for step in remaining(steps) if step.due is None or step.due <= business_now]
    if not due:
        return observed
    told = [state for state in map(_told, due) if state is not None]
    return told[-1] if told else None


def _told(step: Step) -> AccountState | None:
    for word in (step.parameters.get("state"), step.code.rpartition(".")[2]):
        if isinstance(word, str) and word in _STATES:
            return _STATES[word]
    return None
