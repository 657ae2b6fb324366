"""Gauges of what only accounts has: drift by target and kind, its age, and accounts that are written in a loop."""

from collections.abc import Sequence

from prometheus_client import Metric

from services.accounts.domain.drift import Kind
from services.accounts.store import drift, hands
from services.kernel.database import Connection
from services.kernel.gauges import family
from services.kernel.readings import leases


class Watch:
    """Reads the gauges; `loop` is how often the same is written in a day before it is one."""

    def __init__(self, loop: int) -> None:
        self._loop = loop

    async def measure(self, conn: Connection) -> Sequence[Metric]:
        """Read over all organisations; the age is that of the target that was compared longest ago."""
        ages = await leases.ages(conn)
        found = {(target, kind.value): 0.0 for target in ages for kind in Kind}
        found |= await drift.tallies(conn)
        loops = {(target,): 0.0 for target in ages}
        loops |= {(target,): float(count) for target, count in (await hands.loops(conn, loop=self._loop)).items()}
        compared = "Time since the target was last compared whole; the worst of its organisations."
        return [
            family("stafett_drift_findings", "Open differences, by kind.", ["target", "kind"], found),
            family("stafett_drift_age_seconds", compared, ["target"], {(t,): age for t, age in ages.items()}),
            family("stafett_account_write_loops", "Accounts that another hand writes too.", ["target"], loops),
        ]
