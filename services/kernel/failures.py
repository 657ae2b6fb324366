"""Failure classes as exceptions (DESIGN 2): whoever sees a fault raises its class, the work executor decides."""

from collections.abc import Callable
from dataclasses import dataclass

from contracts.codes import FailureClass, StepState
from contracts.facts import Parameter, Problem

TRANSIENT_ATTEMPTS = 12
UNKNOWN_ATTEMPTS = 5
BACKOFF_BASE = 2.0
BACKOFF_CAP = 900.0
LOOK_AGAIN = 300.0


class Failure(Exception):
    """A pass could not do all it wanted. `code` and `parameters` are shown to people; never put a name in them."""

    failure = FailureClass.UNKNOWN

    def __init__(self, code: str, /, **parameters: Parameter) -> None:
        super().__init__(code)
        self.code = code
        self.parameters = parameters

    @property
    def problem(self) -> Problem:
        """The failure as it is published."""
        return Problem(code=self.code, failure=self.failure, parameters=dict(self.parameters))


class Transient(Failure):
    """Timeout, reset, 5xx, busy: full-jitter backoff, parked after 12 attempts unless it removes access."""

    failure = FailureClass.TRANSIENT


class Unavailable(Transient):
    """The target as a whole is away: opens its breaker; the attempt does not count."""


class Throttled(Failure):
    """The target said when to come back: exactly that wait, for the whole target; the attempt does not count."""

    failure = FailureClass.THROTTLED

    def __init__(self, code: str, /, *, retry_after: float, **parameters: Parameter) -> None:
        super().__init__(code, **parameters)
        self.retry_after = retry_after


class Waiting(Failure):
    """An input is not here yet: woken by the input that brings it, looks again every five minutes."""

    failure = FailureClass.WAITING


class Permanent(Failure):
    """A person must look: parked at once."""

    failure = FailureClass.PERMANENT


class Held(Failure):
    """The guard holds a destructive action; released or refused by a person."""

    failure = FailureClass.HELD


class LeaseShort(Transient):
    """Too little of the lease is left to begin a call: the attempt does not count."""


class StaleLease(Failure):
    """A newer pass owns this subject: nothing to do, nothing to report; counted, should the lease be ours after all."""

    failure = FailureClass.TRANSIENT


@dataclass(frozen=True)
class Ruling:
    """What a failure leads to: the row's state, when it is tried again, and how many attempts count."""

    state: StepState
    retry_in: float | None
    attempts: int

    @property
    def row_state(self) -> str:
        """The state of the work row."""
        return "idle" if self.state is StepState.SKIPPED else str(self.state)


def rule(
    failure: Failure, attempt: int, *, removing: bool, jitter: Callable[[float], float], skip: bool = False
) -> Ruling:
    """Decide by class (DESIGN 2). Work that removes access never parks for a transient, throttled or unknown failure.

    Args:
        failure: What went wrong.
        attempt: Which attempt this was, from 1.
        removing: The pass takes access away.
        jitter: Returns a number between 0 and its argument (full jitter).
        skip: A person decided that what fails shall not be done. Never a removal; and not what the target, the guard
            or the lease are to blame for.
    """
    if skip and not removing and not isinstance(failure, (Held, Throttled, Unavailable, LeaseShort, StaleLease)):
        return Ruling(StepState.SKIPPED, None, 0)
    backoff = jitter(min(BACKOFF_CAP, BACKOFF_BASE * 2 ** min(attempt, 16)))
    match failure:
        case Held():
            return Ruling(StepState.HELD, None, 0)
        case Permanent():
            return Ruling(StepState.PARKED, None, attempt)
        case Waiting():
            return Ruling(StepState.WAITING, LOOK_AGAIN, 0)
        case Throttled():
            return Ruling(StepState.RETRYING, failure.retry_after, attempt - 1)
        case Unavailable() | LeaseShort():
            return Ruling(StepState.RETRYING, jitter(2.0), attempt - 1)
        case StaleLease():
            limit = TRANSIENT_ATTEMPTS
        case Transient():
            limit = TRANSIENT_ATTEMPTS
        case _:
            limit = UNKNOWN_ATTEMPTS
    if attempt >= limit and not removing:
        return Ruling(StepState.PARKED, None, attempt)
    return Ruling(StepState.RETRYING, backoff, attempt)
