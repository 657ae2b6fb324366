"""Plans of a take-over, and what was approved of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from psycopg.rows import class_row

from services.accounts.domain.takeover import Match
from services.accounts.store.names import LOGIN, MAIL
from services.kernel.database import Connection
from services.kernel.readings.leases import Reading
from services.kernel.retention.classes import DataClass, rows
from services.kernel.settings import OrganisationSettings

KEPT_PLANS = 3
NOBODY = "takeover.nobody"
"""Why an account is not adopted that a person has called none of its candidates'; newer plans keep it."""


@dataclass(frozen=True)
class Plan:
    """A plan as it was made."""

    id: UUID
    made_at: datetime
    digest: str
    read: int
    people: int


@dataclass(frozen=True)
class Row:
    """One account of a plan. `adopted`: whose it is by now, `done_at` since when it bears the mark."""

    entry: str
    handle: str
    certainty: str
    by: str | None
    candidates: list[UUID]
    user_name: str
    mails: list[str]
    enabled: bool
    detail: dict[str, Any]
    refused: str | None
    adopted: UUID | None = None
    done_at: datetime | None = None


@dataclass(frozen=True)
class Adoption:
    """An account that a person gave to a person."""

    entry: str


@dataclass(frozen=True)
class Approved:
    """A pair that was approved: the account, whose it shall be, and the stem of that person's present address."""

    row: Row
    person: UUID
    scope: str
    stem: str


async def store(
    conn: Connection,
    reading: Reading,
    digest: str,
    read: int,
    people: int,
    rows: Sequence[tuple[Match, str, str, Sequence[str], bool, Mapping[str, object]]],
) -> None:
    """Keep a plan, and of older ones the newest few. Rows: match, handle, login, addresses, open, what is shown."""
    place = (reading.organisation, reading.target)
    nobodys = await _dismissed(conn, *place)
    await conn.execute(
        "DELETE FROM takeover_plan WHERE id IN (SELECT id FROM takeover_plan WHERE organisation = %s AND target = %s"
        " ORDER BY made_at DESC OFFSET %s)",
        (*place, KEPT_PLANS - 1),
    )
    await conn.execute(
        "INSERT INTO takeover_plan (id, organisation, target, digest, read, people) VALUES (%s, %s, %s, %s, %s, %s)",
        (reading.run, *place, digest, read, people),
    )
    async with (
        conn.cursor() as cursor,
        cursor.copy(
            "COPY takeover_row (plan, entry, handle, certainty, by, candidates, user_name, mails, enabled, detail,"
            " refused)"
            " FROM STDIN"
        ) as copy,
    ):
        for match, handle, login, mails, enabled, detail in rows:
            await copy.write_row(
                (
                    reading.run, match.entry, handle, match.certainty.value, match.by.value if match.by else None,
                    list(match.candidates), login, list(mails), enabled, orjson.dumps(dict(detail)).decode(),
                    NOBODY if nobodys.get(match.entry) == frozenset(match.candidates) else None,
                )
            )  # fmt: skip


async def _dismissed(conn: Connection, organisation: str, target: str) -> Mapping[str, frozenset[UUID]]:
    """Return of which candidates accounts were said to be nobody's, in the newest plan."""
    cursor = await conn.execute(
        "SELECT entry, candidates FROM takeover_row WHERE refused = %s AND plan = (SELECT id FROM takeover_plan"
        " WHERE organisation = %s AND target = %s ORDER BY made_at DESC LIMIT 1)",
        (NOBODY, organisation, target),
    )
    return {row[0]: frozenset(row[1]) for row in await cursor.fetchall()}


async def newest(conn: Connection, organisation: str, target: str) -> Plan | None:
    """Return the newest plan; by takeover_plan_newest."""
    async with conn.cursor(row_factory=class_row(Plan)) as rows:
        await rows.execute(
            "SELECT id, made_at, digest, read, people FROM takeover_plan WHERE organisation = %s AND target = %s"
            " ORDER BY made_at DESC LIMIT 1",
            (organisation, target),
        )
        return await rows.fetchone()


async def progress(conn: Connection, organisation: str, target: str, plan: UUID) -> dict[str, dict[str, int]]:
    """Count the accounts of a plan by certainty: all, approved, marked, refused."""
    cursor = await conn.execute(
        "SELECT r.certainty, count(*), count(a.entry), count(a.done_at),"
        " count(r.refused) FILTER (WHERE a.entry IS NULL)"
        " FROM takeover_row r LEFT JOIN adoption a ON a.organisation = %s AND a.target = %s AND a.entry = r.entry"
        " WHERE r.plan = %s GROUP BY 1",
        (organisation, target, plan),
    )
    found = {
        row[0]: {"rows": row[1], "approved": row[2], "adopted": row[3], "refused": row[4]}
        for row in await cursor.fetchall()
    }
    none = {"rows": 0, "approved": 0, "adopted": 0, "refused": 0}
    return {certainty: found.get(certainty, none) for certainty in ("certain", "ambiguous", "none")}


_ROW = (
    "r.entry, r.handle, r.certainty, r.by, r.candidates, r.user_name, r.mails, r.enabled, r.detail, r.refused,"
    " a.person AS adopted, a.done_at"
)
_ROWS = (
    f"SELECT {_ROW} FROM takeover_row r LEFT JOIN adoption a ON a.organisation = %(organisation)s"
    " AND a.target = %(target)s AND a.entry = r.entry WHERE r.plan = %(plan)s"
)


async def page(
    conn: Connection, organisation: str, target: str, plan: UUID, *, certainty: str, after: str, limit: int
) -> list[Row]:
    """Return accounts of a plan; by takeover_row_certainty."""
    async with conn.cursor(row_factory=class_row(Row)) as rows:
        await rows.execute(
            f"{_ROWS} AND r.certainty = %(certainty)s AND r.entry > %(after)s"
            " ORDER BY r.entry LIMIT %(limit)s".encode(),
            {
                "organisation": organisation,
                "target": target,
                "plan": plan,
                "certainty": certainty,
                "after": after,
                "limit": limit,
            },
        )
        return await rows.fetchall()


async def row(conn: Connection, organisation: str, target: str, plan: UUID, entry: str) -> Row | None:
    """Return one account of a plan; by primary key."""
    async with conn.cursor(row_factory=class_row(Row)) as rows:
        await rows.execute(
            f"{_ROWS} AND r.entry = %(entry)s".encode(),
            {"organisation": organisation, "target": target, "plan": plan, "entry": entry},
        )
        return await rows.fetchone()


async def rivals(conn: Connection, plan: UUID, of: Row) -> list[tuple[str, list[UUID]]]:
    """Return a plan's other ambiguous accounts that share a candidate (login, candidates); by takeover_row_certainty.

    Who may not see one of the candidates may not see the login.
    """
    cursor = await conn.execute(
        "SELECT user_name, candidates FROM takeover_row WHERE plan = %s AND certainty = 'ambiguous' AND entry <> %s"
        " AND candidates && %s AND user_name <> '' ORDER BY user_name",
        (plan, of.entry, of.candidates),
    )
    return [(row[0], row[1]) for row in await cursor.fetchall()]


async def undecided(
    conn: Connection, organisation: str, target: str, plan: UUID, entries: Sequence[str] | None
) -> list[Row]:
    """Return the accounts of a plan that nobody has approved yet: these, or all that are certain."""
    async with conn.cursor(row_factory=class_row(Row)) as rows:
        await rows.execute(
            f"{_ROWS} AND a.entry IS NULL AND (r.entry = ANY(%(entries)s) OR (%(entries)s::text[] IS NULL"
            " AND r.certainty = 'certain' AND r.refused IS DISTINCT FROM %(nobody)s)) ORDER BY r.entry".encode(),
            {
                "nobody": NOBODY,
                "organisation": organisation,
                "target": target,
                "plan": plan,
                "entries": None if entries is None else list(entries),
            },
        )
        return await rows.fetchall()


async def approve(
    conn: Connection, organisation: str, target: str, approved: Sequence[Approved], *, actor: str, reason: str
) -> list[UUID]:
    """Keep approvals; whoever has one, or an account by now, is left out. Returns whose are new. Safe to repeat."""
    cursor = await conn.execute(
        "INSERT INTO adoption (organisation, target, approved_by, reason, person, entry, handle)"
        " SELECT %s, %s, %s, %s, p.person, p.entry, p.handle"
        " FROM unnest(%b::uuid[], %b::text[], %b::text[]) AS p (person, entry, handle)"
        " WHERE NOT EXISTS (SELECT FROM account a WHERE (a.organisation, a.person, a.target) = (%s, p.person, %s)"
        " AND a.state <> 'absent') ORDER BY p.person ON CONFLICT DO NOTHING RETURNING person",
        (
            organisation,
            target,
            actor,
            reason,
            [one.person for one in approved],
            [one.row.entry for one in approved],
            [one.row.handle for one in approved],
            organisation,
            target,
        ),
    )
    return [row[0] for row in await cursor.fetchall()]


async def holders(
    conn: Connection, wanted: Sequence[tuple[str, str, str]]
) -> Mapping[tuple[str, str, str], tuple[str, UUID]]:
    """Return who holds names (scope, kind, value) already; by primary key."""
    cursor = await conn.execute(
        "SELECT n.scope, n.kind, n.value, n.organisation, n.person FROM name_reservation n"
        " JOIN unnest(%b::text[], %b::text[], %b::text[]) AS w (scope, kind, value) USING (scope, kind, value)",
        ([one[0] for one in wanted], [one[1] for one in wanted], [one[2] for one in wanted]),
    )
    return {(row[0], row[1], row[2]): (row[3], row[4]) for row in await cursor.fetchall()}


async def take_names(conn: Connection, organisation: str, approved: Sequence[Approved]) -> None:
    """Make login and addresses of the accounts their people's, instead of those that were only ever reserved."""
    people = [one.person for one in approved]
    await conn.execute(
        "DELETE FROM name_reservation n WHERE n.organisation = %s AND n.person = ANY(%s) AND NOT EXISTS (SELECT FROM"
        " account a WHERE (a.organisation, a.person) = (n.organisation, n.person) AND a.known)",
        (organisation, people),
    )
    rows: list[tuple[str, str, str, UUID, str]] = []
    for one in approved:
        rows.append((one.scope, LOGIN, one.row.user_name.lower(), one.person, one.stem))
        for place, mail in enumerate(one.row.mails):
            rows.append((one.scope, MAIL, mail.lower(), one.person, one.stem if place == 0 else ""))
    rows.sort()
    await conn.execute(
        "INSERT INTO name_reservation (scope, kind, value, organisation, person, stem)"
        " SELECT scope, kind, value, %s, person, stem FROM unnest(%b::text[], %b::text[], %b::text[], %b::uuid[],"
        " %b::text[]) AS n (scope, kind, value, person, stem) ON CONFLICT DO NOTHING",
        (organisation, [r[0] for r in rows], [r[1] for r in rows], [r[2] for r in rows], [r[3] for r in rows],
         [r[4] for r in rows]),
    )  # fmt: skip


def plans(organisations: Mapping[str, OrganisationSettings]) -> DataClass:
    """Return what forgets plans with their rows; by takeover_plan_made."""
    days = {key: one.retention.takeovers for key, one in organisations.items()}
    return rows("takeover_plans", days, table="takeover_plan", key="id", at="made_at", owned=True)


async def forget_names(conn: Connection, organisation: str, target: str, entries: Sequence[str]) -> None:
    """Empty the logins and addresses that plans hold of accounts: they are the names of protected people by now."""
    await conn.execute(
        "UPDATE takeover_row r SET user_name = '', mails = '{}' FROM takeover_plan p"
        " WHERE p.id = r.plan AND p.organisation = %s AND p.target = %s AND r.entry = ANY(%s)",
        (organisation, target, list(entries)),
    )


async def dismiss(conn: Connection, organisation: str, target: str, plan: UUID, entries: Sequence[str]) -> list[str]:
    """Say of accounts of a plan that they are none of their candidates'. Returns those that nobody had approved."""
    cursor = await conn.execute(
        "UPDATE takeover_row r SET refused = %s WHERE r.plan = %s AND r.entry = ANY(%s) AND NOT EXISTS (SELECT FROM"
        " adoption a WHERE (a.organisation, a.target, a.entry) = (%s, %s, r.entry)) RETURNING r.entry",
        (NOBODY, plan, list(entries), organisation, target),
    )
    return [row[0] for row in await cursor.fetchall()]


async def refuse(conn: Connection, plan: UUID, refused: Mapping[str, str]) -> None:
    """Note why accounts (entry to code) could not be adopted."""
    await conn.execute(
        "UPDATE takeover_row r SET refused = w.why FROM unnest(%b::text[], %b::text[]) AS w (entry, why)"
        " WHERE r.plan = %s AND r.entry = w.entry",
        (list(refused), list(refused.values()), plan),
    )


async def pending(
    conn: Connection, target: str, keys: Sequence[tuple[str, UUID]]
) -> Mapping[tuple[str, UUID], Adoption]:
    """Return what was approved and is not done, of many people in one round; by primary key."""
    cursor = await conn.execute(
        "SELECT a.organisation, a.person, a.entry FROM adoption a"
        " JOIN unnest(%b::text[], %b::uuid[]) AS k (organisation, person) USING (organisation, person)"
        " WHERE a.target = %s AND a.done_at IS NULL",
        ([key[0] for key in keys], [key[1] for key in keys], target),
    )
    return {(row[0], row[1]): Adoption(row[2]) for row in await cursor.fetchall()}


async def done(conn: Connection, target: str, adopted: Sequence[tuple[str, UUID, str]]) -> None:
    """Note which accounts (organisation, person, entry) bear the mark now."""
    await conn.execute(
        "UPDATE adoption a SET done_at = now() FROM unnest(%b::text[], %b::uuid[], %b::text[])"
        " AS d (organisation, person, entry) WHERE a.target = %s AND a.done_at IS NULL"
        " AND (a.organisation, a.person, a.entry) = (d.organisation, d.person, d.entry)",
        ([one[0] for one in adopted], [one[1] for one in adopted], [one[2] for one in adopted], target),
    )
