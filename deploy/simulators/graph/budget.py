"""The published write budget: 3,000 requests per 150 seconds, per app and tenant.

https://learn.microsoft.com/graph/throttling-limits#identity-and-access-service-limits
"""

import math
from collections import defaultdict, deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from deploy.simulators.graph.calls import Refused

_SHOWN_ABOVE = 0.8
_MOST = 1.8


@dataclass
class Budget:
    """Counts writes in a sliding window.

    Refused ones count too: usage goes on being logged while a client is throttled
    (https://learn.microsoft.com/graph/throttling).

    Attributes:
        limit: Writes that the window allows.
        window: Its length in seconds.
    """

    limit: int = 3_000
    window: float = 150.0
    _spent: dict[tuple[str, str], deque[datetime]] = field(default_factory=lambda: defaultdict(deque))

    def spend(self, tenant: str, app: str, now: datetime) -> dict[str, str]:
        """Count a write, and return the headers that tell how much is used.

        Raises:
            Refused: 429 with `Retry-After`, when the budget is used up.
        """
        spent = self._spent[tenant, app]
        while spent and spent[0] <= now - timedelta(seconds=self.window):
            spent.popleft()
        over = len(spent) >= self.limit
        if len(spent) < math.floor(self.limit * _MOST):
            spent.append(now)
        used = len(spent) / self.limit
        headers = {"x-ms-throttle-limit-percentage": f"{used:.2f}"} if used > _SHOWN_ABOVE else {}
        if over:
            free_at = spent[len(spent) - self.limit] + timedelta(seconds=self.window)
            raise throttled(max(1, math.ceil((free_at - now).total_seconds())), headers)
        return headers


def throttled(retry_after: float, headers: dict[str, str]) -> Refused:
    """Return 429 with how long to wait."""
    scope = {
        "x-ms-throttle-scope": "Tenant_Application/ReadWrite/simulator",
        "x-ms-throttle-information": "WriteLimitExceeded",
    }
    return Refused(
        429,
        "TooManyRequests",
        "Please retry again later.",
        headers={"Retry-After": f"{retry_after:g}", **scope, **headers},
    )
