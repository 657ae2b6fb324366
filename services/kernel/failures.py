"""Failure classes as exceptions (DESIGN 2): whoever sees a fault raises its class, the work executor decides."""

from contracts.codes import FailureClass
from contracts.facts import Parameter, Problem


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


class StaleLease(Failure):
    """A newer pass owns this subject: nothing to do, nothing to report."""

    failure = FailureClass.TRANSIENT
