"""The purge's log: one row for each run of a data class, which also says where a run that was cut off goes on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg.rows import class_row

from services.kernel.database import Connection
from services.kernel.retention.classes import DataClass, Portion

EVERY = timedelta(hours=24)


@dataclass(frozen=True)
class Run:
    """A run that this transaction may carry on; nobody else does until it ends."""

    id: int
    rows: int
    after: str


@dataclass(frozen=True)
class Standing:
    """How a data class stands: its newest run that has ended, whether one is under way, all that was ever purged."""

    began_at: datetime | None
    finished_at: datetime | None
    rows: int | None
    oldest: datetime | None
    running: bool
    total: int


@dataclass(frozen=True)
class Pause:
    """A person has stopped the purge, for all organisations."""

    paused_at: datetime
    paused_by: str
    reason: str
    organisation: str


async def claim(conn: Connection, one: DataClass, organisation: str) -> Run | None:
    """Carry on the run under way, or begin one when it is time, by purge_log_newest.

    None while somebody else is at it, when it is not time yet, or when a person has stopped the purge.
    """
    cursor = await conn.execute(
        "SELECT pg_try_advisory_xact_lock(hashtext(current_schema() || '.purge'), hashtext(%s))",
        (f"{one.name}/{organisation}",),
    )
    if await cursor.fetchone() != (True,) or await pause(conn) is not None:
        return None
    values = {"class": one.name, "organisation": organisation, "days": one.days[organisation], "every": EVERY}
    async with conn.cursor(row_factory=class_row(Run)) as runs:
        await runs.execute(
            "SELECT id, rows, after FROM purge_log WHERE data_class = %(class)s AND organisation = %(organisation)s"
            " AND finished_at IS NULL ORDER BY began_at DESC LIMIT 1",
            values,
        )
        if (found := await runs.fetchone()) is not None:
            return found
        await runs.execute(
            "INSERT INTO purge_log (data_class, organisation, days) SELECT %(class)s, %(organisation)s, %(days)s"
            " WHERE NOT EXISTS (SELECT FROM purge_log WHERE data_class = %(class)s AND organisation = %(organisation)s"
            " AND began_at > now() - %(every)s) RETURNING id, rows, after",
            values,
        )
        return await runs.fetchone()


async def note(conn: Connection, run: Run, portion: Portion, days: int, oldest: datetime | None) -> None:
    """Say what a portion has come to, in its own transaction: what the log counts is what is gone."""
    await conn.execute(
        "UPDATE purge_log SET rows = rows + %(rows)s, days = %(days)s, after = coalesce(%(after)s, ''),"
        " oldest = %(oldest)s, finished_at = CASE WHEN %(after)s::text IS NULL THEN clock_timestamp() END"
        " WHERE id = %(id)s",
        {"rows": portion.rows, "days": days, "after": portion.after, "oldest": oldest, "id": run.id},
    )


async def standing(conn: Connection, one: DataClass, organisation: str) -> Standing:
    """Return how a data class of an organisation stands."""
    async with conn.cursor(row_factory=class_row(Standing)) as cursor:
        await cursor.execute(
            "SELECT l.began_at, l.finished_at, l.rows, l.oldest, EXISTS (SELECT FROM purge_log WHERE data_class ="
            " %(class)s AND organisation = %(organisation)s AND finished_at IS NULL) AS running,"
            " (SELECT coalesce(sum(rows), 0)::bigint FROM purge_log WHERE data_class = %(class)s"
            " AND organisation = %(organisation)s) AS total FROM (VALUES (1)) AS one LEFT JOIN LATERAL"
            " (SELECT * FROM purge_log WHERE data_class = %(class)s AND organisation = %(organisation)s"
            " AND finished_at IS NOT NULL ORDER BY began_at DESC LIMIT 1) l ON true",
            {"class": one.name, "organisation": organisation},
        )
        found = await cursor.fetchone()
    assert found is not None  # noqa: S101 - the statement has exactly one row
    return found


async def ages(conn: Connection, known: Sequence[DataClass]) -> list[tuple[str, float, float | None]]:
    """Return (class, seconds since its last run ended, seconds of age of the oldest kept) of classes that have a run.

    The worst of its organisations counts. One whose first run has not ended is as old as that run.
    """
    cursor = await conn.execute(
        "SELECT k.class, max(extract(epoch FROM now() - coalesce(l.finished_at, f.began_at)))::float8,"
        " max(extract(epoch FROM now() - l.oldest))::float8"
        " FROM unnest(%b::text[], %b::text[]) AS k (class, organisation)"
        " CROSS JOIN LATERAL (SELECT min(began_at) AS began_at FROM purge_log WHERE data_class = k.class"
        "  AND organisation = k.organisation) f"
        " LEFT JOIN LATERAL (SELECT finished_at, oldest FROM purge_log WHERE data_class = k.class"
        "  AND organisation = k.organisation AND finished_at IS NOT NULL ORDER BY began_at DESC LIMIT 1) l ON true"
        " WHERE f.began_at IS NOT NULL GROUP BY 1",
        (
            [one.name for one in known for _ in one.days],
            [organisation for one in known for organisation in one.days],
        ),
    )
    return [(name, max(age, 0.0), oldest) for name, age, oldest in await cursor.fetchall()]


async def pause(conn: Connection) -> Pause | None:
    """Return who has stopped the purge, or None."""
    async with conn.cursor(row_factory=class_row(Pause)) as cursor:
        await cursor.execute("SELECT paused_at, paused_by, reason, organisation FROM purge_pause")
        return await cursor.fetchone()


async def stop(conn: Connection, *, actor: str, reason: str, organisation: str) -> bool:
    """Stop the purge until `go_on`; return false when it was stopped already, which then stands."""
    cursor = await conn.execute(
        "INSERT INTO purge_pause (paused_by, reason, organisation) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
        (actor, reason, organisation),
    )
    return cursor.rowcount == 1


async def go_on(conn: Connection) -> bool:
    """Let the purge go on; return false when it was not stopped."""
    return (await conn.execute("DELETE FROM purge_pause")).rowcount == 1
