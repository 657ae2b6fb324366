"""What people ask of work and look at from above: wake it, look at everybody again, see which removals are overdue.

Statements only. A row that is woken keeps the age of its oldest wish, as `work.raise_wanted` does, or asking again
would reset the clock of an alarm; what was parked starts over. `asked_at` marks that somebody waits for an answer.
"""

from collections.abc import Sequence

from services.kernel.clock import BUSINESS_NOW
from services.kernel.database import Connection

LOOKS_PER_SECOND = 20.0
"""How fast everybody is looked at again on a command: slow enough for today's work to pass by."""

_WAKE = (
    "wanted = w.wanted + 1, asked_at = clock_timestamp(),"
    " raised_at = CASE WHEN w.wanted > w.done THEN w.raised_at ELSE clock_timestamp() END"
)
_REVIVED = "attempts = CASE WHEN w.state = 'parked' THEN 0 ELSE w.attempts END"


async def wake_troubled(conn: Connection, organisation: str, *, subject: str | None, target: str | None) -> int:
    """Wake parked, held, waiting and retrying rows of an organisation (a command); attempts start over.

    One subject goes express; many stay in their lane, or they would hold up a dismissal.
    """
    cursor = await conn.execute(
        "WITH troubled AS (SELECT organisation, kind, subject, target FROM work"
        " WHERE organisation = %(organisation)s AND state <> 'idle'"
        " AND (%(subject)s::text IS NULL OR subject = %(subject)s)"
        " AND (%(target)s::text IS NULL OR target = %(target)s)"
        " ORDER BY organisation, kind, subject, target FOR UPDATE)"
        f" UPDATE work w SET {_WAKE}, attempts = 0,"
        " lane = CASE WHEN %(subject)s::text IS NULL THEN w.lane ELSE 0 END FROM troubled t"
        " WHERE (w.organisation, w.kind, w.subject, w.target) = (t.organisation, t.kind, t.subject, t.target)",
        {"organisation": organisation, "subject": subject, "target": target},
    )
    return cursor.rowcount


async def skip(conn: Connection, organisation: str, *, subject: str, target: str | None) -> int:
    """Let what is in trouble for a subject count as not to be done, until it is asked for again (a command).

    The pass that this asks for tries once more; only what then still fails is skipped. Never a removal.
    """
    cursor = await conn.execute(
        "WITH troubled AS (SELECT organisation, kind, subject, target FROM work"
        " WHERE organisation = %(organisation)s AND subject = %(subject)s AND NOT removal"
        " AND state IN ('parked', 'waiting', 'retrying') AND (%(target)s::text IS NULL OR target = %(target)s)"
        " ORDER BY organisation, kind, subject, target FOR UPDATE)"
        f" UPDATE work w SET {_WAKE}, attempts = 0, skipped = w.wanted + 1, lane = 0 FROM troubled t"
        " WHERE (w.organisation, w.kind, w.subject, w.target) = (t.organisation, t.kind, t.subject, t.target)",
        {"organisation": organisation, "subject": subject, "target": target},
    )
    return cursor.rowcount


async def wake_decided(conn: Connection, organisation: str, decided: Sequence[tuple[str, str]]) -> None:
    """Wake the (subject, target) of decided holds, whatever their state: the pass that held may still be running."""
    await conn.execute(
        "WITH held AS (SELECT w.organisation, w.kind, w.subject, w.target FROM work w"
        " JOIN unnest(%b::text[], %b::text[]) AS d (subject, target) USING (subject, target)"
        " WHERE w.organisation = %s ORDER BY 1, 2, 3, 4 FOR UPDATE OF w)"
        f" UPDATE work w SET {_WAKE}, attempts = 0 FROM held h"
        " WHERE (w.organisation, w.kind, w.subject, w.target) = (h.organisation, h.kind, h.subject, h.target)",
        ([row[0] for row in decided], [row[1] for row in decided], organisation),
    )


async def look_again(conn: Connection, organisation: str, *, subject: str | None, target: str | None) -> int:
    """Ask for a pass over one subject, express, or over all of an organisation, so many a second (a command)."""
    if subject is None:
        return await stagger(conn, organisation, None, target, per_second=LOOKS_PER_SECOND, asked=True)
    cursor = await conn.execute(
        "WITH known AS (SELECT organisation, kind, subject, target FROM work WHERE organisation = %(organisation)s"
        " AND subject = %(subject)s AND (%(target)s::text IS NULL OR target = %(target)s)"
        " ORDER BY organisation, kind, subject, target FOR UPDATE)"
        f" UPDATE work w SET {_WAKE}, {_REVIVED}, lane = 0 FROM known k"
        " WHERE (w.organisation, w.kind, w.subject, w.target) = (k.organisation, k.kind, k.subject, k.target)",
        {"organisation": organisation, "subject": subject, "target": target},
    )
    return cursor.rowcount


async def stagger(
    conn: Connection, organisation: str, kind: str | None, target: str | None, *, per_second: float, asked: bool = False
) -> int:
    """Ask for a pass over every subject, of a kind and target or of all, so many a second: it must not fill the queue.

    It is written at once, in the caller's transaction, as times at which to look. A pass that is under way has read
    what was before, and would overwrite the time: it is asked for anew. With `asked` every pass tells what it found.
    """
    cursor = await conn.execute(
        "WITH everyone AS (SELECT organisation, kind, subject, target, row_number() OVER (ORDER BY subject) AS number"
        " FROM (SELECT organisation, kind, subject, target FROM work WHERE organisation = %(organisation)s"
        " AND (%(kind)s::text IS NULL OR kind = %(kind)s) AND (%(target)s::text IS NULL OR target = %(target)s)"
        " ORDER BY organisation, kind, subject, target FOR UPDATE) locked)"
        " UPDATE work w SET wanted = w.wanted + CASE WHEN w.lease_until IS NULL THEN 0 ELSE 1 END,"
        f" {_REVIVED}, asked_at = CASE WHEN %(asked)s THEN clock_timestamp() ELSE w.asked_at END,"
        " retry_at = least(w.retry_at, now() + e.number / %(rate)s * interval '1 second') FROM everyone e"
        " WHERE (w.organisation, w.kind, w.subject, w.target) = (e.organisation, e.kind, e.subject, e.target)",
        {"organisation": organisation, "kind": kind, "target": target, "rate": per_second, "asked": asked},
    )
    return cursor.rowcount


async def overdue(conn: Connection, target: str) -> list[tuple[str, int]]:
    """Return (why, how many) of removals that have stood open for more than 15 minutes, running or not."""
    late = "interval '15 minutes'"
    cursor = await conn.execute(
        "SELECT CASE WHEN state IN ('parked', 'held') THEN state WHEN wanted > done THEN 'wanted' ELSE 'due' END,"
        " count(*) FROM work WHERE target = %s AND ("
        f"(removal AND wanted > done AND raised_at < now() - {late})"
        f" OR (removes_next AND due_at < {BUSINESS_NOW} - {late})"
        f" OR (removal AND state <> 'idle' AND problem_since < now() - {late})) GROUP BY 1",
        (target,),
    )
    return [(row[0], row[1]) for row in await cursor.fetchall()]
