"""Gauges of what only orgtree has: what stands otherwise in the targets, and for how long nobody has looked."""

from collections.abc import Sequence

from prometheus_client import Metric

from services.kernel.database import Connection
from services.kernel.gauges import family
from services.kernel.readings import leases
from services.orgtree.handlers import drift as codes
from services.orgtree.store import drift

KINDS = (
    codes.MISSING, codes.STRANGE, codes.DOUBLE, codes.ELSEWHERE, codes.RENAMED, codes.NESTING, codes.MEMBER_ADDED,
    codes.MEMBER_MISSING,
)  # fmt: skip


async def measure(conn: Connection) -> Sequence[Metric]:
    """Read over all organisations; the age is that of the target that was compared longest ago."""
    ages = await leases.ages(conn)
    found = {(target, kind): 0.0 for target in ages for kind in KINDS} | await drift.tallies(conn)
    found = {(target, code.removeprefix("drift.")): count for (target, code), count in found.items()}
    compared = "Time since the target was last compared whole; the worst of its organisations."
    return [
        family("stafett_drift_findings", "Open differences, by kind.", ["target", "kind"], found),
        family("stafett_drift_age_seconds", compared, ["target"], {(one,): age for one, age in ages.items()}),
    ]
