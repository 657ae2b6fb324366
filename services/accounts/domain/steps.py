"""The steps of an evaluation: what is verified, what is to come and when, what is held back and why."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from contracts.codes import AccountState, StepState
from contracts.facts import Problem, Step
from services.accounts.domain.desired import Desired
from services.accounts.domain.plan import Action, Change, Create, Delete
from services.accounts.domain.timeline import Phase

CREATED = "account.created"
ENABLED = "account.enabled"
UPDATED = "account.updated"
DISABLED = "account.disabled"
DELETED = "account.deleted"
DEPARTMENT = "account.department"
ENTITLED = "account.entitled"
_STATELESS = frozenset({UPDATED, DEPARTMENT, ENTITLED})
"""Steps of which the code does not tell the state that the account shall be in."""


@dataclass(frozen=True)
class Trouble:
    """A step that could not be done, why, and what becomes of it; `due` when it does not matter before then."""

    code: str
    state: StepState
    problem: Problem
    due: datetime | None = None


@dataclass(frozen=True)
class Standing:
    """How the account stands after a pass: `known` says that there is, or was, one."""

    state: AccountState
    known: bool
    ever_enabled: bool
    verified_at: datetime | None
    entitled: bool = False


def action_codes(action: Action | None) -> tuple[str, ...]:
    """Return the codes of what an action does, the weightiest first."""
    match action:
        case Create():
            return (CREATED, ENABLED) if action.enabled else (CREATED,)
        case Delete():
            return (DELETED,)
        case Change():
            switch = () if action.enabled is None else (ENABLED if action.enabled else DISABLED,)
            return (*switch, UPDATED) if action.attributes or action.login or not switch else switch
        case None:
            return ()


def evaluate(wanted: Desired, standing: Standing, troubles: Iterable[Trouble]) -> tuple[Step, ...]:
    """Return all steps in their order; one that could not be done for several reasons is there once for each.

    Args:
        wanted: What shall be.
        standing: What was read back.
        troubles: What could not be done.
    """
    steps = {step.code: step for step in (*_future(wanted), *_present(wanted, standing))}
    troubled: dict[str, list[Step]] = {}
    for trouble in troubles:
        found = steps.get(trouble.code, Step(code=trouble.code, state=trouble.state))
        told = {"state": wanted.state.value} if trouble.code in _STATELESS else {}
        step = found.model_copy(
            update={
                "state": trouble.state,
                "mandatory": trouble.state is not StepState.SKIPPED,
                "problem": trouble.problem,
                "parameters": {**found.parameters, **told},
                "verified_at": None,
                "due": trouble.due,
            }
        )
        troubled.setdefault(trouble.code, []).append(step)
    order = (CREATED, UPDATED, DEPARTMENT, ENABLED, ENTITLED, DISABLED, DELETED)
    all_ = {code: [step] for code, step in steps.items()} | troubled
    return tuple(step for code in order for step in all_.get(code, ()))


def missing(wanted: AccountState, standing: AccountState) -> tuple[str, ...]:
    """Return the codes of the steps between how an account stands and how it shall be, the weightiest first."""
    if wanted == standing:
        return (UPDATED,)
    before, after = Phase[standing.name], Phase[wanted.name]
    return _transition(before, after)


def _present(wanted: Desired, standing: Standing) -> Iterator[Step]:
    def done(code: str) -> Step:
        return Step(code=code, state=StepState.VERIFIED, verified_at=standing.verified_at)

    if standing.state == AccountState.ABSENT:
        if standing.known:
            yield done(DELETED)
        return
    yield done(CREATED)
    yield done(UPDATED)
    if wanted.unit_missing is None:
        yield done(DEPARTMENT)
    if standing.state == AccountState.ENABLED:
        yield done(ENABLED)
        if standing.entitled:
            yield done(ENTITLED)
    elif standing.ever_enabled:
        yield done(DISABLED)


def _future(wanted: Desired) -> Iterator[Step]:
    seen: set[str] = set()
    before = Phase[wanted.state.name]
    for due, phase in wanted.changes:
        for code in _transition(before, phase):
            if code not in seen:
                seen.add(code)
                yield Step(code=code, state=StepState.PLANNED, due=due)
        before = phase


def _transition(before: Phase, after: Phase) -> tuple[str, ...]:
    if after is Phase.ENABLED:
        return (CREATED, ENABLED) if before is Phase.ABSENT else (ENABLED,)
    if after is Phase.ABSENT:
        return (DELETED,)
    return (CREATED,) if before is Phase.ABSENT else (DISABLED,)


def stable(step: Step) -> Step:
    """Return the step without the time of its verification: what has to change before it is worth saying again."""
    return step.model_copy(update={"verified_at": None})
