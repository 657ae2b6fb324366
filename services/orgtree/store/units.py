"""What is in effect for each unit, as it was last told."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

import orjson

from contracts.organisation import EffectiveUnit
from services.kernel.database import Connection
from services.orgtree.domain.tree import Problem, Trouble

PAGE = 500


@dataclass(frozen=True)
class UnitRow:
    """A unit as it is in effect; `record` None: it is not. `event`: the last unit.changed."""

    organisation: str
    unit: str
    generation: int
    version: int
    record_revision: int
    record: EffectiveUnit | None
    moved: str | None = None
    comes: date | None = None
    problems: tuple[Problem, ...] = ()
    event: str | None = None


@dataclass(frozen=True)
class Stand:
    """Where people who name a unit are: the unit in effect, or none; `comes`: its first day, when that is to come."""

    unit: str
    record: EffectiveUnit | None
    comes: date | None


async def load(conn: Connection, organisation: str) -> dict[str, UnitRow]:
    """Return all rows of an organisation, by unit."""
    cursor = await conn.execute(
        "SELECT organisation, unit, generation, version, record_revision, record::text, moved, comes, problems::text,"
        " event FROM effective_unit WHERE organisation = %s",
        (organisation,),
    )
    return {row[1]: _row(row) for row in await cursor.fetchall()}


async def stands(conn: Connection, keys: Collection[tuple[str, str]]) -> dict[tuple[str, str], Stand]:
    """Return where people of (organisation, unit) are, in one round; by primary key."""
    cursor = await conn.execute(
        "SELECT e.organisation, e.unit, coalesce(t.unit, e.unit), coalesce(t.record, e.record)::text, e.comes"
        " FROM effective_unit e"
        " JOIN unnest(%b::text[], %b::text[]) AS k (organisation, unit) USING (organisation, unit)"
        " LEFT JOIN effective_unit t ON (t.organisation, t.unit) = (e.organisation, e.moved)",
        ([key[0] for key in keys], [key[1] for key in keys]),
    )
    return {
        (row[0], row[1]): Stand(row[2], None if row[3] is None else EffectiveUnit.model_validate_json(row[3]), row[4])
        for row in await cursor.fetchall()
    }


async def store(conn: Connection, rows: Sequence[UnitRow]) -> None:
    """Write rows; the lease on the organisation's tree makes them the newest."""
    ordered = sorted(rows, key=lambda row: (row.organisation, row.unit))
    await conn.execute(
        "INSERT INTO effective_unit (organisation, unit, generation, version, record_revision, record, moved,"
        " comes, problems, event) SELECT * FROM unnest(%b::text[], %b::text[], %b::int[], %b::bigint[], %b::bigint[],"
        " %b::jsonb[], %b::text[], %b::date[], %b::jsonb[], %b::text[])"
        " ON CONFLICT (organisation, unit) DO UPDATE SET generation = excluded.generation, version = excluded.version,"
        " record_revision = excluded.record_revision, record = excluded.record,"
        " moved = excluded.moved, comes = excluded.comes, problems = excluded.problems, event = excluded.event",
        (
            [row.organisation for row in ordered],
            [row.unit for row in ordered],
            [row.generation for row in ordered],
            [row.version for row in ordered],
            [row.record_revision for row in ordered],
            [None if row.record is None else row.record.model_dump_json(by_alias=True) for row in ordered],
            [row.moved for row in ordered],
            [row.comes for row in ordered],
            [_problems(row.problems) for row in ordered],
            [row.event for row in ordered],
        ),
    )


async def occupied(conn: Connection, organisation: str, units: Collection[str]) -> set[str]:
    """Return those of the units that somebody's record names; by the index membership_named."""
    cursor = await conn.execute(
        "SELECT u.unit FROM unnest(%b::text[]) AS u (unit) WHERE EXISTS (SELECT FROM membership m"
        " WHERE (m.organisation, m.named) = (%s, u.unit))",
        (sorted(units), organisation),
    )
    return {row[0] for row in await cursor.fetchall()}


async def with_trouble(conn: Connection, keys: Sequence[tuple[str, str]], trouble: Trouble) -> set[str]:
    """Return the organisations of those of (organisation, unit) that have a problem; by primary key."""
    cursor = await conn.execute(
        "SELECT DISTINCT e.organisation FROM effective_unit e"
        " JOIN unnest(%b::text[], %b::text[]) AS k (organisation, unit) USING (organisation, unit)"
        " WHERE e.problems @> jsonb_build_array(jsonb_build_object('code', %s::text))",
        ([key[0] for key in keys], [key[1] for key in keys], trouble.value),
    )
    return {row[0] for row in await cursor.fetchall()}


async def missing(conn: Connection, organisation: str) -> list[tuple[str, int, datetime]]:
    """Return units that people wait for: id, how many people, and when that becomes an alarm; by placement_missing."""
    cursor = await conn.execute(
        "SELECT missing, count(*), min(missing_due) FROM placement WHERE organisation = %s AND missing IS NOT NULL"
        " GROUP BY missing ORDER BY 3, 1",
        (organisation,),
    )
    return [(row[0], row[1], row[2]) for row in await cursor.fetchall()]


async def leaders(conn: Connection, organisation: str) -> dict[UUID, bytes]:
    """Return the newest records of all who are named to lead something: person to PersonChanged as JSON."""
    cursor = await conn.execute(
        "SELECT l.person, i.body FROM (SELECT DISTINCT person FROM named_leader WHERE organisation = %s) l"
        " JOIN input i ON (i.kind, i.organisation, i.subject) = ('person', %s, l.person::text)",
        (organisation, organisation),
    )
    return {row[0]: row[1].encode() for row in await cursor.fetchall()}


async def lead(conn: Connection, organisation: str, rows: Sequence[UnitRow]) -> set[UUID]:
    """Keep who leads these units by their own name; return who leads one now and did not, or the other way round."""
    named = {row.unit: row.record.leaders if row.record is not None else () for row in rows}
    leading = [(unit, one.person) for unit, leaders in sorted(named.items()) for one in leaders if one.unit == unit]
    values: dict[str, object] = {
        "organisation": organisation,
        "units": sorted(named),
        "led": [unit for unit, _ in leading],
        "people": [person for _, person in leading],
    }
    cursor = await conn.execute(
        "WITH now AS (SELECT * FROM unnest(%(led)b::text[], %(people)b::uuid[]) AS n (unit, person)),"
        " gone AS (DELETE FROM leader l WHERE l.organisation = %(organisation)s AND l.unit = ANY(%(units)b::text[])"
        " AND NOT EXISTS (SELECT FROM now WHERE (now.unit, now.person) = (l.unit, l.person)) RETURNING l.person),"
        " come AS (INSERT INTO leader (organisation, unit, person) SELECT %(organisation)s, unit, person FROM now"
        " ON CONFLICT DO NOTHING RETURNING person) SELECT person FROM gone UNION SELECT person FROM come",
        values,
    )
    return {row[0] for row in await cursor.fetchall()}


async def effective_at(
    conn: Connection,
    organisation: str,
    *,
    generation: int,
    version: int,
    at: datetime,
    evaluated_at: datetime,
    next_due: datetime | None,
    owed: Collection[str],
) -> None:
    """Note that the tree was looked at, of which version it is, and whose people the next pass has to wake."""
    await conn.execute(
        "INSERT INTO tree (organisation, generation, version, effective_at, evaluated_at, next_due, owed)"
        " VALUES (%s, %s, %s, %s, %s, %s, %b) ON CONFLICT (organisation) DO UPDATE SET"
        " generation = excluded.generation, version = excluded.version, effective_at = excluded.effective_at,"
        " evaluated_at = excluded.evaluated_at, next_due = excluded.next_due, owed = excluded.owed",
        (organisation, generation, version, at, evaluated_at, next_due, sorted(owed)),
    )


async def owed(conn: Connection, organisation: str) -> Sequence[str]:
    """Return the units that changed at the last pass."""
    cursor = await conn.execute("SELECT owed FROM tree WHERE organisation = %s FOR UPDATE", (organisation,))
    row = await cursor.fetchone()
    return row[0] if row else ()


async def events(conn: Connection) -> AsyncIterator[list[str]]:
    """Yield the last unit.changed of every unit, in pages by primary key."""
    after = ("", "")
    while True:
        cursor = await conn.execute(
            "SELECT organisation, unit, event FROM effective_unit WHERE (organisation, unit) > (%s, %s)"
            " AND event IS NOT NULL ORDER BY organisation, unit LIMIT %s",
            (*after, PAGE),
        )
        rows = await cursor.fetchall()
        if not rows:
            return
        after = (rows[-1][0], rows[-1][1])
        yield [row[2] for row in rows]


def _problems(problems: Sequence[Problem]) -> str:
    return orjson.dumps([{"code": one.trouble, "other": one.other} for one in problems]).decode()


def _row(row: Sequence[object]) -> UnitRow:
    organisation, unit, generation, version, revision, record, moved, comes, problems, event = row
    told: list[Mapping[str, str | None]] = orjson.loads(str(problems))
    return UnitRow(
        organisation=str(organisation),
        unit=str(unit),
        generation=int(str(generation)),
        version=int(str(version)),
        record_revision=int(str(revision)),
        record=None if record is None else EffectiveUnit.model_validate_json(str(record)),
        moved=None if moved is None else str(moved),
        comes=comes if isinstance(comes, date) else None,
        problems=tuple(Problem(str(unit), Trouble(str(one["code"])), one["other"]) for one in told),
        event=None if event is None else str(event),
    )
