"""Accounts as they were told, and who is a member of which group in a target."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from contracts.codes import Protection
from contracts.facts import AccountChanged
from services.kernel.database import Connection
from services.orgtree.domain.placement import Job
from services.orgtree.domain.projection import Account, Due, Group, Kind, Member

Subject = tuple[str, UUID]


@dataclass(frozen=True)
class Standing:
    """How somebody stands: place and accounts by our tables. `record`: generation and revision that was evaluated.

    `closed`: units of their groups that are not in effect, and whether what stands for them may go. `problems`: why
    groups of these units are not as they shall be. `signature`: of what was last told. `protected`: the person has a
    protected identity.
    """

    record: tuple[int, int]
    jobs: tuple[Job, ...] = ()
    leads: tuple[str, ...] = ()
    account: Account | None = None
    members: Mapping[Group, Member] = field(default_factory=dict)
    closed: Mapping[str, bool] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)
    signature: str | None = None
    protected: bool = False


async def store_accounts(conn: Connection, accounts: Sequence[AccountChanged]) -> set[tuple[str, UUID, str]]:
    """Keep the newest of each; return (organisation, person, target) of what is otherwise now. Safe to replay."""
    newest: dict[tuple[str, UUID, str], AccountChanged] = {}
    for one in accounts:
        key = (one.organisation, one.person, one.target)
        known = newest.get(key)
        if known is None or (one.generation, one.version) > (known.generation, known.version):
            newest[key] = one
    rows = [newest[key] for key in sorted(newest)]
    if not rows:
        return set()
    cursor = await conn.execute(
        "WITH told AS (SELECT * FROM unnest(%b::text[], %b::uuid[], %b::text[], %b::int[], %b::bigint[], %b::text[],"
        " %b::boolean[]) AS t (organisation, person, target, generation, version, entry, enabled)),"
        " old AS (SELECT a.* FROM account a JOIN told USING (organisation, person, target)),"
        " stored AS (INSERT INTO account AS a SELECT * FROM told ORDER BY 1, 2, 3"
        " ON CONFLICT (organisation, person, target) DO UPDATE SET generation = excluded.generation,"
        " version = excluded.version, entry = excluded.entry, enabled = excluded.enabled"
        " WHERE (excluded.generation, excluded.version) > (a.generation, a.version)"
        " RETURNING a.organisation, a.person, a.target, a.entry, a.enabled)"
        " SELECT s.organisation, s.person, s.target FROM stored s LEFT JOIN old USING (organisation, person, target)"
        " WHERE (s.entry, s.enabled) IS DISTINCT FROM (old.entry, old.enabled)",
        (
            [row.organisation for row in rows],
            [row.person for row in rows],
            [row.target for row in rows],
            [row.generation for row in rows],
            [row.version for row in rows],
            [row.record.entry for row in rows],
            [row.record.state == "enabled" for row in rows],
        ),
    )
    return {(row[0], row[1], row[2]) for row in await cursor.fetchall()}


async def load(conn: Connection, target: str, keys: Sequence[Subject]) -> dict[Subject, Standing]:
    """Return how people stand in a target, in two rounds; without those whose record was not evaluated yet."""
    columns = ([key[0] for key in keys], [key[1] for key in keys])
    cursor = await conn.execute(
        "SELECT p.organisation, p.person, p.record_generation, p.revision, (SELECT array_agg(ARRAY[m.employment::text,"
        " m.named, m.unit, m.main::text] ORDER BY m.employment) FROM membership m"
        " WHERE (m.organisation, m.person) = (p.organisation, p.person)),"
        " (SELECT array_agg(l.unit ORDER BY l.unit) FROM leader l"
        " WHERE (l.organisation, l.person) = (p.organisation, p.person)), a.entry, a.enabled, g.signature,"
        " coalesce(i.body::jsonb #>> '{record,protection}', %s)"
        " FROM placement p JOIN unnest(%b::text[], %b::uuid[]) AS k (organisation, person) USING (organisation, person)"
        " LEFT JOIN account a ON (a.organisation, a.person, a.target) = (p.organisation, p.person, %s)"
        " LEFT JOIN grouping g ON (g.organisation, g.person, g.target) = (p.organisation, p.person, %s)"
        " LEFT JOIN input i ON (i.kind, i.organisation, i.subject) = ('person', p.organisation, p.person::text)",
        (Protection.NONE, *columns, target, target),
    )
    people = await cursor.fetchall()
    cursor = await conn.execute(
        "SELECT m.organisation, m.person, m.unit, m.kind, m.wanted, m.entry, m.held,"
        " e.record IS NULL, coalesce(p.closing, false), p.problem FROM group_member m"
        " JOIN unnest(%b::text[], %b::uuid[]) AS k (organisation, person) USING (organisation, person)"
        " LEFT JOIN effective_unit e ON (e.organisation, e.unit) = (m.organisation, m.unit)"
        " LEFT JOIN projection p ON (p.organisation, p.target, p.unit) = (m.organisation, m.target, m.unit)"
        " WHERE m.target = %s",
        (*columns, target),
    )
    members: dict[Subject, dict[Group, Member]] = {}
    closed: dict[Subject, dict[str, bool]] = {}
    problems: dict[Subject, dict[str, str]] = {}
    for organisation, person, unit, kind, wanted, entry, held, over, closing, problem in await cursor.fetchall():
        key = (organisation, person)
        members.setdefault(key, {})[unit, Kind(kind)] = Member(wanted, entry, held)
        if over:
            closed.setdefault(key, {})[unit] = closing
        if problem is not None:
            problems.setdefault(key, {})[unit] = problem
    return {
        (row[0], row[1]): Standing(
            record=(row[2], row[3]),
            jobs=tuple(Job(UUID(job[0]), job[1], job[2], job[3] == "true") for job in row[4] or ()),
            leads=tuple(row[5] or ()),
            account=None if row[6] is None else Account(row[6], row[7]),
            members=members.get((row[0], row[1]), {}),
            closed=closed.get((row[0], row[1]), {}),
            problems=problems.get((row[0], row[1]), {}),
            signature=row[8],
            protected=row[9] != Protection.NONE,
        )
        for row in people
    }


async def want(conn: Connection, target: str, members: Mapping[Subject, Mapping[Group, Member]]) -> None:
    """Write whether people shall be members, and by which account; what is held is the unit's pass's to write."""
    rows = sorted(
        (organisation, unit, kind.value, person, member.wanted, member.entry)
        for (organisation, person), groups in members.items()
        for (unit, kind), member in groups.items()
    )
    await conn.execute(
        "INSERT INTO group_member (organisation, target, unit, kind, person, wanted, entry)"
        " SELECT organisation, %s, unit, kind, person, wanted, entry FROM unnest(%b::text[], %b::text[], %b::text[],"
        " %b::uuid[], %b::boolean[], %b::text[]) AS m (organisation, unit, kind, person, wanted, entry)"
        " ON CONFLICT (organisation, target, unit, kind, person) DO UPDATE SET wanted = excluded.wanted,"
        " entry = excluded.entry",
        (target, *([row[index] for row in rows] for index in range(6))),
    )


async def tell(conn: Connection, target: str, signatures: Mapping[Subject, str]) -> None:
    """Remember what was published of people's memberships."""
    rows = sorted(signatures)
    await conn.execute(
        "INSERT INTO grouping (organisation, person, target, signature) SELECT organisation, person, %s, signature"
        " FROM unnest(%b::text[], %b::uuid[], %b::text[]) AS g (organisation, person, signature)"
        " ON CONFLICT (organisation, person, target) DO UPDATE SET signature = excluded.signature",
        (target, [row[0] for row in rows], [row[1] for row in rows], [signatures[row] for row in rows]),
    )


async def due(conn: Connection, target: str, units: Sequence[tuple[str, str]]) -> dict[tuple[str, str], list[Due]]:
    """Return what is to be written in the groups of (organisation, unit); by group_member_due."""
    cursor = await conn.execute(
        "SELECT m.organisation, m.unit, m.kind, m.person, CASE WHEN m.wanted THEN m.entry END, m.held, m.name"
        " FROM group_member m JOIN unnest(%b::text[], %b::text[]) AS k (organisation, unit) USING (organisation, unit)"
        " WHERE m.target = %s AND ((m.wanted AND m.held IS DISTINCT FROM m.entry) OR NOT m.wanted)",
        ([unit[0] for unit in units], [unit[1] for unit in units], target),
    )
    found: dict[tuple[str, str], list[Due]] = {}
    for organisation, unit, kind, person, joins, held, name in await cursor.fetchall():
        found.setdefault((organisation, unit), []).append(Due(Kind(kind), person, joins, held, name))
    return found


@dataclass(frozen=True)
class Written:
    """Members of a unit's groups as they were written and read back.

    `joined`: (kind, person) to the account and its name. `left`: who is a member no more. `anew`: groups that were made
    anew, and have nobody.
    """

    organisation: str
    unit: str
    joined: Mapping[tuple[Kind, UUID], tuple[str, str]] = field(default_factory=dict)
    left: frozenset[tuple[Kind, UUID]] = frozenset()
    anew: frozenset[Kind] = frozenset()


async def settle(conn: Connection, target: str, written: Sequence[Written]) -> set[Subject]:
    """Store what was written; the lease on each unit's work makes it the newest. Returns whom it concerns."""
    concerned = {(one.organisation, person) for one in written for _, person in (*one.joined, *one.left)}
    anew = [(one.organisation, one.unit, kind.value) for one in written for kind in sorted(one.anew)]
    if anew:
        cursor = await conn.execute(
            "UPDATE group_member m SET held = NULL, name = NULL FROM unnest(%b::text[], %b::text[], %b::text[])"
            " AS k (organisation, unit, kind) WHERE (m.organisation, m.target, m.unit, m.kind)"
            " = (k.organisation, %s, k.unit, k.kind) AND m.held IS NOT NULL RETURNING m.organisation, m.person",
            (*([row[index] for row in anew] for index in range(3)), target),
        )
        concerned |= {(row[0], row[1]) for row in await cursor.fetchall()}
    rows = sorted(
        (one.organisation, one.unit, kind.value, person, held, name)
        for one in written
        for (kind, person), (held, name) in one.joined.items()
    )
    gone = sorted((one.organisation, one.unit, kind.value, person) for one in written for kind, person in one.left)
    key = "(m.organisation, m.target, m.unit, m.kind, m.person) = (k.organisation, %s, k.unit, k.kind, k.person)"
    keys = "unnest(%b::text[], %b::text[], %b::text[], %b::uuid[]) AS k (organisation, unit, kind, person)"
    values = (*([row[index] for row in gone] for index in range(4)), target)
    if gone:
        await conn.execute(
            f"UPDATE group_member m SET held = NULL, name = NULL FROM {keys} WHERE {key}".encode(), values
        )
    if rows:
        await conn.execute(
            "UPDATE group_member m SET held = k.held, name = k.name"
            " FROM unnest(%b::text[], %b::text[], %b::text[], %b::uuid[], %b::text[], %b::text[])"
            f" AS k (organisation, unit, kind, person, held, name) WHERE {key}".encode(),
            (*([row[index] for row in rows] for index in range(6)), target),
        )
    if gone:
        # a member who was never one is none to anybody
        await conn.execute(
            f"DELETE FROM group_member m USING {keys} WHERE {key} AND NOT m.wanted AND m.held IS NULL".encode(), values
        )
    return concerned


async def waiting(conn: Connection, target: str, units: Sequence[tuple[str, str]]) -> set[Subject]:
    """Return whose membership of the groups of (organisation, unit) is not as it shall be; by primary key."""
    cursor = await conn.execute(
        "SELECT DISTINCT m.organisation, m.person FROM group_member m"
        " JOIN unnest(%b::text[], %b::text[]) AS k (organisation, unit) USING (organisation, unit)"
        " WHERE m.target = %s AND (NOT m.wanted OR m.held IS DISTINCT FROM m.entry)",
        ([unit[0] for unit in units], [unit[1] for unit in units], target),
    )
    return {(row[0], row[1]) for row in await cursor.fetchall()}


async def members(conn: Connection, target: str, units: Sequence[tuple[str, str]]) -> set[Subject]:
    """Return who is a member of a group of (organisation, unit); by primary key."""
    cursor = await conn.execute(
        "SELECT DISTINCT m.organisation, m.person FROM group_member m"
        " JOIN unnest(%b::text[], %b::text[]) AS k (organisation, unit) USING (organisation, unit)"
        " WHERE m.target = %s AND m.held IS NOT NULL",
        ([unit[0] for unit in units], [unit[1] for unit in units], target),
    )
    return {(row[0], row[1]) for row in await cursor.fetchall()}


async def held(conn: Connection, target: str, units: Sequence[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """Count the memberships of the groups of (organisation, unit); by primary key."""
    cursor = await conn.execute(
        "SELECT m.organisation, m.unit, count(*) FROM group_member m"
        " JOIN unnest(%b::text[], %b::text[]) AS k (organisation, unit) USING (organisation, unit)"
        " WHERE m.target = %s AND m.held IS NOT NULL GROUP BY 1, 2",
        ([unit[0] for unit in units], [unit[1] for unit in units], target),
    )
    return {(row[0], row[1]): row[2] for row in await cursor.fetchall()}


async def population(conn: Connection, organisation: str, target: str) -> int:
    """Count memberships that stand."""
    cursor = await conn.execute(
        "SELECT count(*) FROM group_member WHERE organisation = %s AND target = %s AND held IS NOT NULL",
        (organisation, target),
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0
