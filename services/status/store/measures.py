"""Gauges of the cases: how many are open and late, and how long they take. They count; they name nobody."""

from collections.abc import Sequence

from prometheus_client import Metric

from contracts.codes import CaseKind
from services.kernel.clock import BUSINESS_NOW
from services.kernel.database import Connection
from services.kernel.gauges import family
from services.status.store.cases import OPEN_STATE, SECONDS
from services.status.store.overview import SMALLEST_GROUP

KINDS = tuple(kind.value for kind in CaseKind)
OPEN = ("attention", "running", "waiting")
LATE = "interval '15 minutes'"


async def cases(conn: Connection) -> Sequence[Metric]:
    """Read open cases by state, late ones, and the lead times of the last day (case_open_listed, case_lead)."""
    open_ = {(kind, state): 0.0 for kind in KINDS for state in OPEN}
    late = {(kind,): 0.0 for kind in KINDS}
    cursor = await conn.execute(
        f"SELECT c.kind, {OPEN_STATE}, count(*), count(*) FILTER (WHERE NOT c.baseline AND"
        f' greatest(c.accepted_at, c.effective_at) < {BUSINESS_NOW} - {LATE}) FROM "case" c'
        " WHERE c.closed_at IS NULL GROUP BY 1, 2"
    )
    for kind, state, count, overdue in await cursor.fetchall():
        open_[kind, state] = count
        late[kind,] = late.get((kind,), 0.0) + overdue
    cursor = await conn.execute(
        f"SELECT c.kind, percentile_cont(0.5) WITHIN GROUP (ORDER BY {SECONDS}),"
        f" percentile_cont(0.95) WITHIN GROUP (ORDER BY {SECONDS})"
        ' FROM (SELECT DISTINCT organisation FROM kernel.evaluator) o JOIN "case" c ON c.organisation = o.organisation'
        " AND c.accepted_at >= now() - interval '1 day' AND c.done_at IS NOT NULL AND NOT c.cancelled"
        f" AND NOT c.baseline GROUP BY 1 HAVING count(*) >= {SMALLEST_GROUP}"
    )
    lead: dict[tuple[str, str], float] = {}
    for kind, median, high in await cursor.fetchall():
        lead |= {(kind, "0.5"): median, (kind, "0.95"): high}
    return [
        family("stafett_cases_open", "Cases that are not closed, by state.", ["kind", "state"], open_),
        family("stafett_cases_late", "Open cases more than 15 minutes past acceptance and effect.", ["kind"], late),
        family(
            "stafett_case_lead_seconds",
            "Seconds from accepted to done, of the cases of the last 24 hours; none of fewer than five.",
            ["kind", "quantile"],
            lead,
        ),
    ]
