"""Runs and findings: one open row for a difference at an object, first seen, last seen, decided or not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from psycopg.rows import class_row

from services.accounts.domain.drift import Finding, Kind
from services.kernel.clock import BUSINESS_NOW
from services.kernel.database import Connection
from services.kernel.readings.leases import Reading
from services.kernel.retention.classes import DataClass, rows
from services.kernel.settings import OrganisationSettings


@dataclass(frozen=True)
class Open:
    """A finding that still holds."""

    id: UUID
    organisation: str
    target: str
    kind: str
    about: str
    attribute: str
    person: UUID | None
    digest: str
    detail: dict[str, Any]
    first_seen: datetime
    last_seen: datetime
    decision: str | None
    actor: str | None
    reason: str | None
    decided_at: datetime | None


_OPEN = ", ".join(Open.__annotations__)
_LEFT = "coalesce(decision IN ('ignore', 'accept'), false)"
"""Somebody has decided that it stays as it is. One that is accepted and open is a grant that was left (`report`)."""


@dataclass(frozen=True)
class Run:
    """How the reading of a target stands: the newest run that ended, and whether one is under way."""

    ended_at: datetime | None
    read: int
    skipped: int
    running: bool
    so_far: int
    due_at: datetime | None
    problem: str | None


async def busy(conn: Connection, organisation: str, target: str, persons: Sequence[UUID]) -> frozenset[UUID]:
    """Return whose work is wanted, due, retried or under way: what differs there is no drift; by primary key."""
    cursor = await conn.execute(
        "SELECT w.subject FROM work w JOIN unnest(%b::text[]) AS p (subject) USING (subject)"
        " WHERE w.organisation = %s AND w.kind = 'person' AND w.target = %s AND (w.wanted > w.done"
        f" OR w.lease_until IS NOT NULL OR w.state = 'retrying' OR w.due_at <= {BUSINESS_NOW})",
        ([str(person) for person in persons], organisation, target),
    )
    return frozenset(UUID(row[0]) for row in await cursor.fetchall())


async def verified_since(
    conn: Connection, organisation: str, target: str, persons: Sequence[UUID], since: datetime
) -> frozenset[UUID]:
    """Return whose accounts a pass has looked at since then (business time); by primary key."""
    cursor = await conn.execute(
        "SELECT person FROM account WHERE organisation = %s AND target = %s AND person = ANY(%s) AND verified_at >= %s",
        (organisation, target, list(persons), since),
    )
    return frozenset(row[0] for row in await cursor.fetchall())


async def standing(conn: Connection, organisation: str, target: str, after: UUID, limit: int) -> list[UUID]:
    """Return whose accounts stand as far as we know, by person; by primary key."""
    cursor = await conn.execute(
        "SELECT person FROM account WHERE organisation = %s AND target = %s AND state <> 'absent' AND person > %s"
        " ORDER BY person LIMIT %s",
        (organisation, target, after, limit),
    )
    return [row[0] for row in await cursor.fetchall()]


async def owners(conn: Connection, organisation: str, target: str, entries: Sequence[str]) -> dict[str, UUID]:
    """Return whose accounts these are by their ids, whatever they say themselves; by the index account_entry."""
    if not entries:
        return {}
    cursor = await conn.execute(
        "SELECT entry, person FROM account WHERE organisation = %s AND target = %s AND state <> 'absent'"
        " AND entry = ANY(%s)",
        (organisation, target, list(entries)),
    )
    return {row[0]: row[1] for row in await cursor.fetchall()}


async def learn_places(
    conn: Connection, organisation: str, target: str, places: Sequence[tuple[UUID, str, str]]
) -> None:
    """Remember below what accounts (person, entry, place) stand of which that is not known yet."""
    if not places:
        return
    await conn.execute(
        "UPDATE account a SET place = p.place"
        " FROM unnest(%b::uuid[], %b::text[], %b::text[]) AS p (person, entry, place)"
        " WHERE a.organisation = %s AND a.target = %s AND a.person = p.person AND a.entry = p.entry"
        " AND a.place IS NULL",
        ([p[0] for p in places], [p[1] for p in places], [p[2] for p in places], organisation, target),
    )


async def accept_places(conn: Connection, organisation: str, target: str, places: Sequence[tuple[str, str]]) -> None:
    """Let accounts (entry, place) stand where they were found; by the index account_entry."""
    await conn.execute(
        "UPDATE account a SET place = p.place FROM unnest(%b::text[], %b::text[]) AS p (entry, place)"
        " WHERE a.organisation = %s AND a.target = %s AND a.entry = p.entry AND a.state <> 'absent'",
        ([p[0] for p in places], [p[1] for p in places], organisation, target),
    )


async def doubt(conn: Connection, organisation: str, target: str, persons: Sequence[UUID]) -> None:
    """Have the marks of accounts swapped by the next pass, as after a call whose end nobody knows."""
    await conn.execute(
        "UPDATE work SET unsure = true WHERE organisation = %s AND kind = 'person' AND target = %s"
        " AND subject = ANY(%s)",
        (organisation, target, [str(person) for person in persons]),
    )


async def store(conn: Connection, reading: Reading, findings: Sequence[Finding]) -> None:
    """Note what was found. What was found before keeps its age; a decision holds for the difference it was about."""
    if not findings:
        return
    unique = {(one.kind.value, one.about, one.attribute): one for one in findings}
    rows = [unique[key] for key in sorted(unique)]
    await conn.execute(
        "INSERT INTO finding AS f (organisation, target, run, kind, about, attribute, person, digest, detail)"
        " SELECT %s, %s, %s, * FROM unnest(%b::text[], %b::text[], %b::text[], %b::uuid[], %b::text[], %b::jsonb[])"
        " ON CONFLICT (organisation, target, kind, about, attribute) WHERE closed_at IS NULL DO UPDATE SET"
        " last_seen = now(), run = excluded.run, person = excluded.person, detail = excluded.detail,"
        " digest = excluded.digest,"
        " decision = CASE WHEN f.digest = excluded.digest THEN f.decision END,"
        " decided_at = CASE WHEN f.digest = excluded.digest THEN f.decided_at END,"
        " actor = CASE WHEN f.digest = excluded.digest THEN f.actor END,"
        " reason = CASE WHEN f.digest = excluded.digest THEN f.reason END",
        (
            reading.organisation,
            reading.target,
            reading.run,
            [one.kind.value for one in rows],
            [one.about for one in rows],
            [one.attribute for one in rows],
            [one.person for one in rows],
            [one.digest for one in rows],
            [orjson.dumps(dict(one.detail)).decode() for one in rows],
        ),
    )


async def pass_over(conn: Connection, reading: Reading, persons: Sequence[UUID]) -> None:
    """Keep what was found of people who were not compared this time; by finding_person."""
    await conn.execute(
        "UPDATE finding SET run = %s WHERE organisation = %s AND target = %s AND person = ANY(%s)"
        " AND closed_at IS NULL",
        (reading.run, reading.organisation, reading.target, list(persons)),
    )


async def conclude(conn: Connection, reading: Reading, read: int, skipped: int) -> Mapping[str, int]:
    """Close what was not found any more, and keep what the run came to. Returns open findings by kind."""
    where = "organisation = %s AND target = %s AND closed_at IS NULL"
    place = (reading.organisation, reading.target)
    await conn.execute(
        f"UPDATE finding SET closed_at = now() WHERE {where} AND run <> %s AND kind <> %s".encode(),
        (*place, reading.run, Kind.GRANT_TAKEN.value),
    )
    counts = await tally(conn, *place)
    await conn.execute(
        "INSERT INTO drift_run (id, organisation, target, asked_by, read, skipped, counts)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s::jsonb)",
        (reading.run, *place, reading.asked_by, read, skipped, orjson.dumps(dict(counts)).decode()),
    )
    return counts


async def tally(conn: Connection, organisation: str, target: str) -> dict[str, int]:
    """Count the open findings that nobody has decided to leave as they are, by kind; by finding_list."""
    cursor = await conn.execute(
        "SELECT kind, count(*) FROM finding WHERE organisation = %s AND target = %s AND closed_at IS NULL"
        f" AND NOT {_LEFT} GROUP BY 1",
        (organisation, target),
    )
    found = {row[0]: row[1] for row in await cursor.fetchall()}
    return {kind.value: found.get(kind.value, 0) for kind in Kind}


async def page(
    conn: Connection,
    organisation: str,
    target: str,
    *,
    kind: str | None,
    attribute: str | None,
    person: UUID | None,
    ignored: bool,
    after: UUID,
    limit: int,
) -> list[Open]:
    """Return open findings by id; by finding_list."""
    async with conn.cursor(row_factory=class_row(Open)) as rows:
        await rows.execute(
            f"SELECT {_OPEN} FROM finding WHERE organisation = %(organisation)s AND target = %(target)s"
            " AND closed_at IS NULL AND id > %(after)s AND (%(kind)s::text IS NULL OR kind = %(kind)s)"
            " AND (%(attribute)s::text IS NULL OR attribute = %(attribute)s)"
            " AND (%(person)s::uuid IS NULL OR person = %(person)s)"
            f" AND {_LEFT} = %(ignored)s ORDER BY id LIMIT %(limit)s".encode(),
            {
                "organisation": organisation,
                "target": target,
                "after": after,
                "kind": kind,
                "attribute": attribute,
                "person": person,
                "ignored": ignored,
                "limit": limit,
            },
        )
        return await rows.fetchall()


async def lock(
    conn: Connection,
    organisation: str,
    *,
    finding: UUID | None = None,
    target: str | None = None,
    kind: str | None = None,
    attribute: str | None = None,
    person: UUID | None = None,
) -> list[Open]:
    """Return open findings, and let nobody else decide meanwhile.

    One by its id; all of a target and kind that are undecided; or of those all of a person, decided or not.
    """
    async with conn.cursor(row_factory=class_row(Open)) as rows:
        await rows.execute(
            f"SELECT {_OPEN} FROM finding WHERE organisation = %(organisation)s AND closed_at IS NULL"
            " AND (id = %(finding)s OR (%(finding)s::uuid IS NULL AND target = %(target)s AND kind = %(kind)s"
            " AND (decision IS NULL OR person = %(person)s) AND (%(person)s::uuid IS NULL OR person = %(person)s)"
            " AND (%(attribute)s::text IS NULL OR attribute = %(attribute)s)))"
            " ORDER BY id FOR UPDATE".encode(),
            {
                "organisation": organisation,
                "finding": finding,
                "target": target,
                "kind": kind,
                "attribute": attribute,
                "person": person,
            },
        )
        return await rows.fetchall()


async def decide(
    conn: Connection, found: Sequence[Open], decision: str, *, actor: str, reason: str, close: bool
) -> None:
    """Note what was decided of findings; `close` when nothing of them is left to be seen."""
    await conn.execute(
        "UPDATE finding SET decision = %s, actor = %s, reason = %s, decided_at = now(),"
        " closed_at = CASE WHEN %s THEN now() END WHERE id = ANY(%s)",
        (decision, actor, reason, close, [one.id for one in found]),
    )


_NEWER = (
    "EXISTS (SELECT FROM drift_run n WHERE (n.organisation, n.target) = (drift_run.organisation, drift_run.target)"
    " AND n.ended_at > drift_run.ended_at)"
)


def classes(organisations: Mapping[str, OrganisationSettings]) -> list[DataClass]:
    """Return what forgets findings that are over, and runs but the newest; by finding_closed and drift_run_ended."""
    days = {key: one.retention.findings for key, one in organisations.items()}
    return [
        rows("findings", days, table="finding", key="id", at="closed_at", owned=True),
        rows("drift_runs", days, table="drift_run", key="id", at="ended_at", settled=_NEWER, owned=True, audited=False),
    ]


async def tallies(conn: Connection) -> dict[tuple[str, str], int]:
    """Count the open findings of all organisations by target and kind, as `tally` does."""
    cursor = await conn.execute(
        f"SELECT target, kind, count(*) FROM finding WHERE closed_at IS NULL AND NOT {_LEFT} GROUP BY 1, 2"
    )
    return {(row[0], row[1]): row[2] for row in await cursor.fetchall()}


async def run(conn: Connection, organisation: str, target: str) -> Run | None:
    """Return how the reading of a target stands, or None when it is not read at all."""
    async with conn.cursor(row_factory=class_row(Run)) as rows:
        await rows.execute(
            "SELECT r.last_good AS ended_at, coalesce(d.read, 0) AS read, coalesce(d.skipped, 0) AS skipped,"
            " coalesce(r.lease_until > now(), false) AS running, r.read AS so_far, r.due_at, r.problem"
            " FROM reading r LEFT JOIN LATERAL (SELECT read, skipped FROM drift_run d"
            " WHERE (d.organisation, d.target) = (r.organisation, r.target) ORDER BY ended_at DESC LIMIT 1) d ON true"
            " WHERE r.organisation = %s AND r.target = %s AND r.kind = 'drift'",
            (organisation, target),
        )
        return await rows.fetchone()
