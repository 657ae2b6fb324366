"""When a whole target is read, and by whom: one reader at a time for a target, by a lease in the database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID, uuid4

from services.kernel.database import Connection

LEASE_SECONDS = 60
AGAIN_SECONDS = 120
"""How soon a reading that failed is tried again."""


class Why(StrEnum):
    """What a target is read for."""

    DRIFT = "drift"
    TAKEOVER = "takeover"


@dataclass(frozen=True)
class Reading:
    """The right to read an organisation's part of a target, until the lease ends."""

    target: str
    organisation: str
    why: Why
    epoch: int
    run: UUID
    asked_by: str | None


class ReadingLost(Exception):
    """Somebody else reads by now: what was read is of no use any more."""


async def register(conn: Connection, places: Mapping[str, Sequence[str]], hours: float) -> None:
    """Have each organisation's part of each target read by and by, and nothing else."""
    rows = [(target, organisation) for target, here in places.items() for organisation in here]
    values = ([row[0] for row in rows], [row[1] for row in rows])
    await conn.execute(
        "DELETE FROM reading r WHERE NOT EXISTS (SELECT FROM unnest(%b::text[], %b::text[]) AS k (target, organisation)"
        " WHERE (k.target, k.organisation) = (r.target, r.organisation))",
        values,
    )
    await conn.execute(
        "INSERT INTO reading (target, organisation, kind, due_at)"
        " SELECT target, organisation, 'drift', now() + random() * %s * interval '1 hour'"
        " FROM unnest(%b::text[], %b::text[]) AS k (target, organisation) ORDER BY 1, 2 ON CONFLICT DO NOTHING",
        (hours, *values),
    )


async def ask(conn: Connection, target: str, organisation: str, why: Why, actor: str) -> None:
    """Have it read now, once more if that is under way."""
    await conn.execute(
        "INSERT INTO reading (target, organisation, kind, due_at, asked_by) VALUES (%s, %s, %s, now(), %s)"
        " ON CONFLICT (target, organisation, kind) DO UPDATE SET due_at = now(), asked_by = excluded.asked_by",
        (target, organisation, why.value, actor),
    )


async def claim(conn: Connection, targets: Sequence[str]) -> Reading | None:
    """Take what is due: not while the target is away, asked us to wait or is paused, nor while somebody reads it.

    A lease that has ended is taken over, and the reading starts over.
    """
    await conn.execute("SELECT pg_advisory_xact_lock(hashtext(current_schema() || '.reading'))")
    cursor = await conn.execute(
        "UPDATE reading SET lease_until = now() + %(lease)s * interval '1 second', epoch = epoch + 1, run = %(run)s,"
        " read = 0, due_at = NULL FROM (SELECT r.target, r.organisation, r.kind, r.asked_by FROM reading r"
        " WHERE r.target = ANY(%(targets)s) AND (r.due_at <= now() OR r.lease_until < now())"
        " AND NOT EXISTS (SELECT FROM reading o WHERE o.target = r.target AND o.lease_until > now())"
        " AND NOT EXISTS (SELECT FROM breaker b WHERE b.target = r.target"
        " AND (b.opened_at IS NOT NULL OR b.resume_at > now() OR b.paused_at IS NOT NULL))"
        " ORDER BY r.asked_by IS NULL, r.due_at LIMIT 1) c"
        " WHERE (reading.target, reading.organisation, reading.kind) = (c.target, c.organisation, c.kind)"
        " RETURNING reading.target, reading.organisation, reading.kind, reading.epoch, reading.run, c.asked_by",
        {"lease": LEASE_SECONDS, "run": uuid4(), "targets": list(targets)},
    )
    row = await cursor.fetchone()
    return Reading(row[0], row[1], Why(row[2]), row[3], row[4], row[5]) if row else None


async def keep(conn: Connection, reading: Reading, read: int) -> None:
    """Renew the lease, in the transaction that stores what was read.

    Raises:
        ReadingLost: It has ended, and somebody else reads.
    """
    cursor = await conn.execute(
        "UPDATE reading SET lease_until = now() + %s * interval '1 second', read = %s"
        " WHERE (target, organisation, kind) = (%s, %s, %s) AND epoch = %s RETURNING true",
        (LEASE_SECONDS, read, *_key(reading), reading.epoch),
    )
    if await cursor.fetchone() is None:
        raise ReadingLost


async def end(conn: Connection, reading: Reading, *, problem: str | None, hours: float) -> None:
    """Give the lease back and say when it is read next, a little sooner or later; sooner when it failed."""
    again = AGAIN_SECONDS if problem is not None else hours * 3600 if reading.why is Why.DRIFT else None
    await conn.execute(
        "UPDATE reading SET lease_until = NULL, problem = %(problem)s, asked_by = CASE WHEN due_at IS NULL AND"
        " %(problem)s::text IS NULL THEN NULL ELSE asked_by END,"
        " due_at = least(due_at, now() + (0.9 + random() * 0.2) * %(again)s * interval '1 second'),"
        " last_good = CASE WHEN %(problem)s::text IS NULL THEN now() ELSE last_good END"
        " WHERE (target, organisation, kind) = (%(target)s, %(organisation)s, %(kind)s) AND epoch = %(epoch)s",
        {
            "problem": problem,
            "again": again,
            "target": reading.target,
            "organisation": reading.organisation,
            "kind": reading.why.value,
            "epoch": reading.epoch,
        },
    )


def _key(reading: Reading) -> tuple[str, str, str]:
    return reading.target, reading.organisation, reading.why.value


@dataclass(frozen=True)
class State:
    """Whether a reading is under way or asked for, how much is read of the one under way, why the last one failed."""

    waits: bool
    so_far: int | None
    problem: str | None


async def standing(conn: Connection, target: str, organisation: str, why: Why) -> State | None:
    """Return how a reading stands, or None when nobody ever asked; by primary key."""
    cursor = await conn.execute(
        "SELECT coalesce(lease_until IS NOT NULL OR due_at <= now(), false),"
        " CASE WHEN lease_until > now() THEN read END, problem FROM reading"
        " WHERE (target, organisation, kind) = (%s, %s, %s)",
        (target, organisation, why.value),
    )
    row = await cursor.fetchone()
    return State(*row) if row else None


async def ages(conn: Connection) -> dict[str, float]:
    """Return for how many seconds each target has not been compared whole; the worst of its organisations."""
    cursor = await conn.execute(
        "SELECT target, max(extract(epoch FROM now() - coalesce(last_good, since)))::float8 FROM reading"
        " WHERE kind = 'drift' GROUP BY 1"
    )
    return {row[0]: row[1] for row in await cursor.fetchall()}
