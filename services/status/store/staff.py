"""How far a manager's staff is: few people, so they are looked at one by one and by no tally."""

from typing import cast

from psycopg.rows import TupleRow

from services.kernel.clock import BUSINESS_NOW
from services.kernel.database import Connection
from services.status.domain.sight import Sight
from services.status.domain.views import WorkProgress
from services.status.store.sight import values, visible


async def progress(conn: Connection, organisation: str, sight: Sight) -> WorkProgress:
    """Return of those whom the reader sees what `overview.progress` returns of all; uses the primary keys."""
    cursor = await conn.execute(
        "WITH seen AS MATERIALIZED (SELECT p.organisation, p.person, p.generation, p.revision FROM person p"
        f"   WHERE p.organisation = %(organisation)s AND {visible(sight, 'p')}),"
        " registered AS MATERIALIZED (SELECT v.service, v.target FROM kernel.evaluator v"
        "   WHERE v.organisation = %(organisation)s)"
        " SELECT (SELECT count(*) FROM registered) * (SELECT count(*) FROM seen),"
        " (SELECT count(*) FROM seen p JOIN evaluation a USING (organisation, person)"
        "   JOIN registered v USING (service, target) WHERE NOT a.blocked"
        f"   AND (a.blocked_from <= {BUSINESS_NOW}) IS NOT TRUE AND (a.next_due <= {BUSINESS_NOW}) IS NOT TRUE"
        "   AND (a.record_generation, a.revision) >= (p.generation, p.revision)),"
        " count(*) FILTER (WHERE a.state = 'held'), count(*) FILTER (WHERE a.state = 'parked'),"
        " count(*) FILTER (WHERE a.state = 'retrying'),"
        f" count(*) FILTER (WHERE a.state = 'waiting' AND (a.due IS NULL OR a.due <= {BUSINESS_NOW}))"
        " FROM seen p JOIN attention a USING (organisation, person)",
        {"organisation": organisation, **values(sight)},
    )
    row = cast("TupleRow", await cursor.fetchone())
    return WorkProgress(expected=row[0], settled=row[1], held=row[2], parked=row[3], retrying=row[4], waiting=row[5])
