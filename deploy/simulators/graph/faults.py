"""Misbehaviour on demand: storms of 429 and 5xx, answers that get lost, tokens that expire."""

import math
import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase

from deploy.simulators.graph.budget import throttled
from deploy.simulators.graph.calls import Call, Refused


class FaultKind(StrEnum):
    """What goes wrong."""

    THROTTLE = "throttle"
    ERROR = "error"
    LOST_ANSWER = "lost_answer"
    EXPIRED_TOKEN = "expired_token"  # noqa: S105 (the name of a fault)


@dataclass
class Fault:
    """One fault in force.

    Attributes:
        method: Only requests with this method; None for all.
        path: Only paths that this pattern (`*` and `?`) matches; all of Graph, and not the token endpoint, unless said
            otherwise. `$batch` itself only where the pattern names it: an item fails by itself.
        tenant: Only this tenant's requests.
        skip: How many matching requests pass first.
        times: How many it hits; None for all.
        rate: The share of matching requests that it hits, by the seeded chance.
        until: When it ends.
        status: Of an ERROR.
        retry_after: Seconds for THROTTLE, or for an ERROR with 503; else, of a THROTTLE with an end, what is left.
        percentage: `x-ms-throttle-limit-percentage` of a THROTTLE.
        hang: Seconds that a LOST_ANSWER keeps the caller waiting before 504.
    """

    id: str
    kind: FaultKind
    method: str | None = None
    path: str = "/v1.0/*"
    tenant: str | None = None
    skip: int = 0
    times: int | None = None
    rate: float = 1.0
    until: datetime | None = None
    status: int = 503
    retry_after: float | None = None
    percentage: float | None = 1.0
    hang: float = 60.0
    hits: int = 0

    def over(self, now: datetime) -> bool:
        """Say whether it will never hit again."""
        return self.times == 0 or (self.until is not None and now >= self.until)

    def concerns(self, call: Call, tenant: str | None) -> bool:
        """Say whether a request is one that it is about."""
        return (
            self.method in (None, call.method)
            and self.tenant in (None, tenant)
            and fnmatchcase(call.path, self.path)
            and (not call.path.endswith("/$batch") or "$batch" in self.path)
        )

    def refusal(self, now: datetime) -> Refused:
        """Return what the caller gets to see."""
        if self.kind is FaultKind.THROTTLE:
            wait = self.retry_after
            if wait is None:
                left = (self.until - now) if self.until is not None else timedelta(seconds=10)
                wait = max(1, math.ceil(left.total_seconds()))
            headers = {} if self.percentage is None else {"x-ms-throttle-limit-percentage": f"{self.percentage:.2f}"}
            return throttled(wait, headers)
        status = 504 if self.kind is FaultKind.LOST_ANSWER else self.status
        wait_header = {"Retry-After": f"{self.retry_after:g}"} if self.retry_after is not None else {}
        code, message = _WORDS.get(status, ("UnknownError", ""))
        return Refused(status, code, message, headers=wait_header)


_WORDS = {
    500: ("InternalServerError", "An internal server error occurred."),
    502: ("BadGateway", ""),
    503: ("ServiceUnavailable", "The service is temporarily unavailable."),
    504: ("UnknownError", "The gateway did not receive a response in time."),
}


@dataclass
class FaultBook:
    """The faults in force.

    Attributes:
        down: Whether the whole service answers nothing but 503.
    """

    chance: random.Random
    down: bool = False
    faults: dict[str, Fault] = field(default_factory=dict)

    def strike(self, kinds: frozenset[FaultKind], call: Call, tenant: str | None, now: datetime) -> Fault | None:
        """Return the fault that hits this request, and count the hit."""
        for fault in list(self.faults.values()):
            if fault.over(now):
                del self.faults[fault.id]
                continue
            if fault.kind not in kinds or not fault.concerns(call, tenant):
                continue
            if fault.skip > 0:
                fault.skip -= 1
                continue
            if fault.rate < 1.0 and self.chance.random() >= fault.rate:
                continue
            fault.hits += 1
            if fault.times is not None:
                fault.times -= 1
            return fault
        return None
