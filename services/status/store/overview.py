"""Reading what needs a hand, and the figures of the summary."""

from datetime import datetime, timedelta
from typing import cast
from uuid import UUID

from psycopg.rows import TupleRow, class_row

from contracts.codes import StepState
from services.kernel.clock import BUSINESS_NOW
from services.kernel.database import Connection
from services.status.domain.sight import Sight
from services.status.domain.views import AttentionItem, DueNext, LeadTime, PausedTarget, WorkProgress
from services.status.store import staff
from services.status.store.cases import SECONDS, UNPROTECTED
from services.status.store.sight import values, visible

_PERSON = "JOIN person p ON p.organisation = a.organisation AND p.person = a.person"
SMALLEST_GROUP = 5
"""No figure is shown of a smaller group (DOMAIN, measures)."""
Position = tuple[datetime, UUID, str, str, int]


async def attention(
    conn: Connection,
    organisation: str,
    state: StepState | None,
    after: Position | None,
    limit: int,
    *,
    sight: Sight,
) -> list[tuple[AttentionItem, int]]:
    """Return steps that are held, parked, retried or wait beyond their time, the oldest trouble first, with ordinals.

    Uses attention_listed. Someone who is not known yet is hidden: their protection is not known either.
    """
    place = after or (None, None, None, None, None)
    cursor = await conn.execute(
        "SELECT a.person, p.display, a.service, a.target, a.state, a.code, a.problem, a.hold, a.revision, a.attempt,"
        f" a.since, a.retry_at, a.due, a.ordinal FROM attention a {_PERSON}"
        f" WHERE a.organisation = %(organisation)s AND {visible(sight, 'p')}"
        f" AND (a.state <> 'waiting' OR a.due IS NULL OR a.due <= {BUSINESS_NOW})"
        + (" AND a.state = %(state)s" if state else "")
        + (
            " AND (a.since, a.person, a.service, a.target, a.ordinal)"
            " > (%(since)s, %(person)s, %(service)s, %(target)s, %(ordinal)s)"
            if after
            else ""
        )
        + " ORDER BY a.since, a.person, a.service, a.target, a.ordinal LIMIT %(limit)s",
        {
            "organisation": organisation,
            **values(sight),
            "state": state,
            "limit": limit,
            **dict(zip(("since", "person", "service", "target", "ordinal"), place, strict=True)),
        },
    )
    names = tuple(AttentionItem.model_fields)
    return [
        (AttentionItem.model_validate(dict(zip(names, row[:-1], strict=True))), int(row[-1])) async for row in cursor
    ]


async def paused(conn: Connection, organisation: str) -> list[PausedTarget]:
    """Return the targets to which nothing is written now; an organisation has a handful of evaluators."""
    async with conn.cursor(row_factory=class_row(PausedTarget)) as cursor:
        await cursor.execute(
            "SELECT service, target, paused_at AS since FROM kernel.evaluator"
            " WHERE organisation = %s AND paused_at IS NOT NULL ORDER BY service, target",
            (organisation,),
        )
        return await cursor.fetchall()


async def dead_letters(conn: Connection, organisation: str) -> dict[str, int]:
    """Count messages that could not be read, by the service that keeps them; there are few, and mostly none."""
    cursor = await conn.execute(
        "SELECT service, count(*) FROM kernel.dead_letter WHERE organisation IS NULL OR organisation = %s GROUP BY 1",
        (organisation,),
    )
    return {row[0]: int(row[1]) async for row in cursor}


async def lead_times(conn: Connection, organisation: str, window: timedelta, *, sight: Sight) -> list[LeadTime]:
    """Return p50 and p95 of the seconds from accepted to done, for cases accepted in the window (case_lead).

    Who was there before Stafett has no lead time.
    """
    async with conn.cursor(row_factory=class_row(LeadTime)) as cursor:
        await cursor.execute(
            "SELECT kind, count, ranked[1] AS p50, ranked[2] AS p95 FROM (SELECT c.kind, count(*) AS count,"
            f' percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY {SECONDS}) AS ranked FROM "case" c'
            " WHERE c.organisation = %(organisation)s AND c.accepted_at >= now() - %(window)s"
            f" AND c.done_at IS NOT NULL AND NOT c.cancelled AND NOT c.baseline AND {visible(sight, 'c', UNPROTECTED)}"
            f" GROUP BY 1 HAVING count(*) >= {SMALLEST_GROUP}) c ORDER BY 1",
            {"organisation": organisation, "window": window, **values(sight)},
        )
        return await cursor.fetchall()


async def due_next(conn: Connection, organisation: str, *, sight: Sight) -> DueNext | None:
    """Return the next due time ahead and for how many; uses evaluation_due."""
    async with conn.cursor(row_factory=class_row(DueNext)) as cursor:
        await cursor.execute(
            "SELECT a.next_due AS at, count(*) AS count FROM evaluation a"
            f" {_PERSON} WHERE a.organisation = %(organisation)s AND a.next_due > {BUSINESS_NOW}"
            f" AND {visible(sight, 'p')} GROUP BY 1 ORDER BY 1 LIMIT 1",
            {"organisation": organisation, **values(sight)},
        )
        return await cursor.fetchone()


_SETTLED = (
    "NOT a.blocked AND (a.record_generation, a.revision) >= (p.generation, p.revision)"
    f" AND (least(a.blocked_from, a.next_due) > {BUSINESS_NOW}) IS NOT FALSE"
)
"""Of an evaluation `a` of a person `p`; unsettled_tally counts those of which it does not hold."""


async def progress(conn: Connection, organisation: str, *, sight: Sight) -> WorkProgress:
    """Return how far the evaluators are: all that they have said, by the tallies, without what is not settled.

    What may not be counted is taken away: few people are protected (person_protected). Nobody's own staff is tallied.
    """
    if sight.staff is not None:
        return await staff.progress(conn, organisation, sight)
    hidden = "p.organisation = %(organisation)s AND p.protection <> 'none' AND NOT %(protected)s"
    cursor = await conn.execute(
        "WITH registered AS MATERIALIZED (SELECT v.service, v.target FROM kernel.evaluator v"
        "   WHERE v.organisation = %(organisation)s)"
        " SELECT (SELECT count(*) FROM registered) * (coalesce((SELECT t.count FROM person_tally t"
        f"   WHERE t.organisation = %(organisation)s), 0) - (SELECT count(*) FROM person p WHERE {hidden})),"
        " (SELECT coalesce(sum(t.count), 0)::bigint FROM evaluation_tally t JOIN registered v USING (service, target)"
        "   WHERE t.organisation = %(organisation)s)"
        " - (SELECT coalesce(sum(t.count), 0)::bigint FROM unsettled_tally t JOIN registered v USING (service, target)"
        f"   WHERE t.organisation = %(organisation)s AND t.since <= {BUSINESS_NOW})"
        " - (SELECT count(*) FROM person p JOIN evaluation a ON a.organisation = p.organisation"
        "   AND a.person = p.person JOIN registered v ON v.service = a.service AND v.target = a.target"
        f"   WHERE {hidden} AND {_SETTLED}),"
        " count(*) FILTER (WHERE a.state = 'held'), count(*) FILTER (WHERE a.state = 'parked'),"
        " count(*) FILTER (WHERE a.state = 'retrying'),"
        f" count(*) FILTER (WHERE a.state = 'waiting' AND (a.due IS NULL OR a.due <= {BUSINESS_NOW}))"
        f" FROM attention a {_PERSON}"
        f" WHERE a.organisation = %(organisation)s AND {visible(sight, 'p')}",
        {"organisation": organisation, "protected": sight.protected},
    )
    row = cast("TupleRow", await cursor.fetchone())
    return WorkProgress(expected=row[0], settled=row[1], held=row[2], parked=row[3], retrying=row[4], waiting=row[5])
