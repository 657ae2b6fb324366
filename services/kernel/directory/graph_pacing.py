"""How fast to write to Microsoft Graph: within the published budget, and slower when Graph says that it is used up.

An identity application may write 3,000 times in 150 seconds to a tenant
(https://learn.microsoft.com/graph/throttling-limits, "Identity and access"). Who goes over it is refused for minutes,
so it pays to stay just below. Readings of `x-ms-throttle-limit-percentage` tell what others use of it.
"""

from collections.abc import Callable

BURST = 0.02
"""Share of the budget that may be written at once."""
STEADY = 0.97
"""Share of the budget that is spread over the window; burst and steady together stay below it in any window."""
NOTICED = 0.8
SLOWEST = 0.1


class WritePacer:
    """Spaces writes (a virtual schedule, as GCRA's); `clock` is the event loop's time.

    Args:
        writes: The budget of a window.
        window: Its length in seconds.
        clock: Returns the time.
    """

    def __init__(self, writes: float, window: float, clock: Callable[[], float]) -> None:
        self._spacing = window / (writes * STEADY)
        self._burst = max(1.0, writes * BURST)
        self._clock = clock
        self._next = 0.0
        self._load = 0.0

    def reserve(self, writes: int, *, latest: float | None = None) -> float | None:
        """Return for how many seconds to wait before so many writes; None (nothing reserved) if `latest` would pass."""
        now, spacing = self._clock(), self._spacing / slowed(self._load)
        following = max(now, self._next) + writes * spacing
        wait = max(0.0, following - self._burst * spacing - now)
        if latest is not None and now + wait > latest:
            return None
        self._next = following
        return wait

    def told(self, load: float) -> None:
        """Heed what the last write's answer said of the limit; 0 when it said nothing."""
        self._load = load


def slowed(load: float) -> float:
    """Return the share of the pace that is kept: all below 0.8, nine tenths at the limit, a tenth well beyond it."""
    if load <= NOTICED:
        return 1.0
    if load <= 1.0:
        return 1.0 - (load - NOTICED) / 2
    return max(SLOWEST, 0.9 - (load - 1.0) * 4)
