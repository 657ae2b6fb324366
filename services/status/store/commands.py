"""Commands: accepted once, what they match, and what has become of each match."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from psycopg.rows import class_row

from services.kernel.database import Connection
from services.kernel.messaging.dead import COMMAND_PREFIX
from services.status.domain.sight import Sight
from services.status.domain.views import CommandDetail, CommandItem, CommandMatch
from services.status.store import sight as sights

SHOWN = 200
"""How many matches of a command are shown; its figures are of all."""

Match = tuple[UUID, str]
"""(person, target)."""


@dataclass(frozen=True)
class Given:
    """A command as somebody gives it; what is None does not narrow it."""

    id: UUID
    organisation: str
    digest: str
    type: str
    service: str
    actor: str
    reason: str
    person: UUID | None
    target: str | None
    hold: UUID | None
    message: UUID | None


async def digest(conn: Connection, command_id: UUID, organisation: str) -> str | None:
    """Return the digest that a command's id was accepted with, or None; another organisation's is empty."""
    cursor = await conn.execute("SELECT organisation, digest FROM command WHERE id = %s", (command_id,))
    known = await cursor.fetchone()
    if known is None:
        return None
    return str(known[1]) if known[0] == organisation else ""


async def accept(conn: Connection, given: Given, matches: Sequence[Match], count: int) -> bool:
    """Remember a command, what and how many it matches; return false when its id was accepted meanwhile."""
    cursor = await conn.execute(
        "INSERT INTO command (id, organisation, digest, accepted_at, type, service, person, target, hold, message,"
        " actor, reason, matched) VALUES (%s, %s, %s, now(), %s, %s, %s, %s, %s, %s, %s, %s, %s)"
        " ON CONFLICT (id) DO NOTHING RETURNING id",
        (
            given.id,
            given.organisation,
            given.digest,
            given.type,
            given.service,
            given.person,
            given.target,
            given.hold,
            given.message,
            given.actor,
            given.reason,
            count,
        ),
    )
    if await cursor.fetchone() is None:
        return False
    if matches:
        await conn.execute(
            "INSERT INTO command_item (command, person, target) SELECT %s, * FROM unnest(%b::uuid[], %b::text[])",
            (given.id, [person for person, _ in matches], [target for _, target in matches]),
        )
    return True


async def under_way(conn: Connection, given: Given) -> tuple[str, datetime] | None:
    """Return who gave the same command when, if it has not been carried out; a lost one counts for five minutes.

    Two operators at once are told apart by the lock on what they command.
    """
    narrow = (given.type, given.service, given.person, given.target, given.hold, given.message)
    await conn.execute(
        "SELECT pg_advisory_xact_lock(hashtext('command'), hashtext(%s))", (repr((given.organisation, narrow)),)
    )
    cursor = await conn.execute(
        "SELECT actor, accepted_at FROM command WHERE organisation = %s AND accepted_at > now() - interval '5 minutes'"
        " AND carried_out_at IS NULL AND type = %s AND service = %s AND person IS NOT DISTINCT FROM %s"
        " AND target IS NOT DISTINCT FROM %s AND hold IS NOT DISTINCT FROM %s AND message IS NOT DISTINCT FROM %s"
        " ORDER BY accepted_at LIMIT 1",
        (given.organisation, *narrow),
    )
    return cast("tuple[str, datetime] | None", await cursor.fetchone())


async def troubled(conn: Connection, given: Given, states: Sequence[str]) -> list[Match]:
    """Return what a command about troubles matches now; uses attention's primary key or attention_listed."""
    return await _matches(
        conn,
        "SELECT DISTINCT a.person, a.target FROM attention a WHERE a.organisation = %(organisation)s"
        " AND a.service = %(service)s AND a.state = ANY(%(states)s)"
        " AND (%(person)s::uuid IS NULL OR a.person = %(person)s)"
        " AND (%(target)s::text IS NULL OR a.target = %(target)s) AND (%(hold)s::uuid IS NULL OR a.hold = %(hold)s)"
        " ORDER BY 1, 2",
        given,
        states,
    )


async def evaluated(conn: Connection, given: Given) -> list[Match]:
    """Return whom a service has ever looked at, as far as the command reaches; uses evaluation's primary key."""
    return await _matches(
        conn,
        "SELECT e.person, e.target FROM evaluation e WHERE e.organisation = %(organisation)s"
        " AND e.service = %(service)s AND (%(person)s::uuid IS NULL OR e.person = %(person)s)"
        " AND (%(target)s::text IS NULL OR e.target = %(target)s) ORDER BY 1, 2",
        given,
        (),
    )


async def letters(conn: Connection, given: Given) -> int:
    """Return how many dead letters a service keeps that the command reaches; uses dead_letter's primary key."""
    cursor = await conn.execute(
        "SELECT count(*) FROM kernel.dead_letter WHERE service = %s AND (organisation IS NULL OR organisation = %s)"
        " AND (%s::uuid IS NULL OR id = %s)",
        (given.service, given.organisation, given.message, given.message),
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def _matches(conn: Connection, query: str, given: Given, states: Sequence[str]) -> list[Match]:
    values = {
        "organisation": given.organisation,
        "service": given.service,
        "person": given.person,
        "target": given.target,
        "hold": given.hold,
        "states": list(states),
    }
    return [(row[0], row[1]) async for row in await conn.execute(query.encode(), values)]


async def carried_out(conn: Connection, done: Sequence[tuple[UUID, int, datetime]]) -> None:
    """Note (command, count, when) of commands that their services have carried out."""
    await conn.execute(
        "UPDATE command c SET carried_out_at = d.at, count = d.count"
        " FROM unnest(%b::uuid[], %b::int[], %b::timestamptz[]) AS d (id, count, at)"
        " WHERE c.id = d.id AND c.carried_out_at IS NULL",
        ([row[0] for row in done], [row[1] for row in done], [row[2] for row in done]),
    )


# a match is settled by an evaluation, troubled by a trouble, that came after the command
_OUTCOME = (
    "SELECT i.person, i.target, CASE WHEN a.state IS NOT NULL THEN a.state WHEN e.person IS NOT NULL THEN 'settled'"
    " ELSE 'pending' END AS state FROM command c JOIN command_item i ON i.command = c.id"
    " LEFT JOIN evaluation e ON e.organisation = c.organisation AND e.person = i.person AND e.service = c.service"
    " AND e.target = i.target AND e.recorded_at >= c.accepted_at"
    " LEFT JOIN attention a ON a.organisation = c.organisation AND a.person = i.person AND a.service = c.service"
    " AND a.target = i.target AND a.ordinal = 0 AND a.recorded_at >= c.accepted_at WHERE c.id = %(id)s"
)
_COLUMNS = "id, type, service, target, actor, reason, accepted_at, carried_out_at, matched, count"


async def listed(conn: Connection, organisation: str, limit: int) -> list[CommandItem]:
    """Return the newest commands; uses command_listed."""
    async with conn.cursor(row_factory=class_row(CommandItem)) as cursor:
        await cursor.execute(
            f"SELECT {_COLUMNS} FROM command WHERE organisation = %s AND type IS NOT NULL"
            " ORDER BY accepted_at DESC LIMIT %s",
            (organisation, limit),
        )
        return await cursor.fetchall()


async def detail(conn: Connection, organisation: str, command_id: UUID, *, sight: Sight) -> CommandDetail | None:
    """Return a command with its progress and its first matches; who is not seen counts and is not shown."""
    async with conn.cursor(row_factory=class_row(CommandItem)) as cursor:
        await cursor.execute(
            f"SELECT {_COLUMNS} FROM command WHERE organisation = %s AND id = %s AND type IS NOT NULL",
            (organisation, command_id),
        )
        item = await cursor.fetchone()
    if item is None:
        return None
    counted = await conn.execute(f"SELECT state, count(*) FROM ({_OUTCOME}) o GROUP BY 1", {"id": command_id})
    progress = {str(state): int(count) async for state, count in counted}
    shown = await conn.execute(
        f"SELECT o.person, p.display, o.target, o.state FROM ({_OUTCOME}) o JOIN person p"
        " ON p.organisation = %(organisation)s AND p.person = o.person"
        f" AND {sights.visible(sight, 'p')}"
        " ORDER BY p.sort_name, o.person, o.target LIMIT %(limit)s",
        {"id": command_id, "organisation": organisation, "limit": SHOWN, **sights.values(sight)},
    )
    matches = [CommandMatch(person=row[0], name=row[1], target=row[2], state=row[3]) async for row in shown]
    values: dict[str, Any] = item.model_dump()
    return CommandDetail(**values, progress=progress, matches=matches)


async def forget_inbox(conn: Connection) -> None:
    """Let every fact in once more: their handlers are safe to replay (DESIGN 2.2, a rebuild clears its inbox).

    Commands stay known. A replay says this week's again, and a release that was right on Monday is not on Friday.
    """
    await conn.execute("DELETE FROM inbox WHERE NOT starts_with(type, %s)", (COMMAND_PREFIX,))
