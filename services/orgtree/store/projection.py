"""What stands in a target for each unit, as it was last verified."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from contracts.organisation import EffectiveUnit
from services.kernel.database import Connection
from services.orgtree.domain.projection import Kind
from services.orgtree.ports import Observed

Unit = tuple[str, str]
"""Organisation and unit."""


@dataclass(frozen=True)
class Stored:
    """What is known of a unit in a target.

    `record` None: it is not in effect; `ended`: for it is over, and not because what HR said cannot be. `known`:
    immutable ids of what stands for it. `above`: the parent, and the id of its entry; `below`: the units below it, and
    the ids of their objects. `approved`: ids of what may be taken over. `closed_since`: when its end was first told.
    """

    record: EffectiveUnit | None = None
    ended: bool = False
    known: Mapping[Kind, str] = field(default_factory=dict)
    above: tuple[str, str | None] | None = None
    below: Mapping[str, Mapping[Kind, str]] = field(default_factory=dict)
    approved: Mapping[Kind, str] = field(default_factory=dict)
    closing: bool = False
    problem: str | None = None
    closed_since: datetime | None = None


async def load(conn: Connection, target: str, units: Sequence[Unit]) -> dict[Unit, Stored]:
    """Return what is known of units, in two rounds."""
    columns = ([unit[0] for unit in units], [unit[1] for unit in units])
    cursor = await conn.execute(
        "SELECT k.organisation, k.unit, e.record::text, e.problems = '[]', p.closing, p.problem,"
        " (SELECT array_agg(ARRAY[a.kind, a.entry]) FROM adoption a"
        " WHERE (a.organisation, a.target, a.unit) = (k.organisation, %s, k.unit)),"
        " CASE WHEN e.record IS NULL THEN (SELECT min(v.told_at) FROM unit_version v"
        " WHERE (v.organisation, v.unit) = (k.organisation, k.unit) AND v.record ->> 'validTo' IS NOT NULL"
        " AND v.record ->> 'validTo' = (SELECT n.record ->> 'validTo' FROM unit_version n"
        " WHERE (n.organisation, n.unit) = (k.organisation, k.unit)"
        " ORDER BY n.generation DESC, n.revision DESC LIMIT 1))"
        " END FROM unnest(%b::text[], %b::text[]) AS k (organisation, unit)"
        " LEFT JOIN effective_unit e USING (organisation, unit)"
        " LEFT JOIN projection p ON (p.organisation, p.target, p.unit) = (k.organisation, %s, k.unit)",
        (target, *columns, target),
    )
    rows = await cursor.fetchall()
    cursor = await conn.execute(
        "SELECT k.organisation, k.unit, r.unit, r.relation, o.kind, o.entry"
        " FROM unnest(%b::text[], %b::text[]) AS k (organisation, unit) CROSS JOIN LATERAL ("
        " SELECT k.unit, 0 AS relation UNION ALL SELECT e.parent, 1 FROM effective_unit e"
        " WHERE (e.organisation, e.unit) = (k.organisation, k.unit) AND e.parent IS NOT NULL"
        " UNION ALL SELECT e.unit, 2 FROM effective_unit e WHERE (e.organisation, e.parent) = (k.organisation, k.unit)"
        ") AS r (unit, relation)"
        " LEFT JOIN unit_object o ON (o.organisation, o.target, o.unit) = (k.organisation, %s, r.unit)",
        (*columns, target),
    )
    known: dict[Unit, dict[Kind, str]] = {}
    above: dict[Unit, tuple[str, str | None]] = {}
    below: dict[Unit, dict[str, dict[Kind, str]]] = {}
    for organisation, unit, other, relation, kind, entry in await cursor.fetchall():
        key = (organisation, unit)
        if relation == 0 and kind is not None:
            known.setdefault(key, {})[Kind(kind)] = entry
        elif relation == 1:
            found = above.get(key, (other, None))
            above[key] = (other, entry if kind == Kind.ENTRY else found[1])
        elif relation == 2:
            objects = below.setdefault(key, {}).setdefault(other, {})
            if kind is not None:
                objects[Kind(kind)] = entry
    return {
        (row[0], row[1]): Stored(
            record=None if row[2] is None else EffectiveUnit.model_validate_json(row[2]),
            ended=row[2] is None and bool(row[3]),
            known=known.get((row[0], row[1]), {}),
            above=above.get((row[0], row[1])),
            below=below.get((row[0], row[1]), {}),
            approved={Kind(kind): entry for kind, entry in row[6] or ()},
            closing=bool(row[4]),
            problem=row[5],
            closed_since=row[7],
        )
        for row in rows
    }


@dataclass(frozen=True)
class Verified:
    """What a pass over a unit found and wrote.

    `gone`: of what nothing stands any more. `candidates`: what somebody else made that has the name of ours.
    """

    organisation: str
    unit: str
    generation: int
    version: int
    at: datetime
    stands: Mapping[Kind, Observed] = field(default_factory=dict)
    gone: frozenset[Kind] = frozenset()
    candidates: Mapping[Kind, Observed] = field(default_factory=dict)
    closing: bool = False
    problem: str | None = None


async def store(conn: Connection, target: str, verified: Sequence[Verified]) -> None:
    """Write what was verified; the lease on each unit's work makes it the newest."""
    ordered = sorted(verified, key=lambda one: (one.organisation, one.unit))
    await conn.execute(
        "INSERT INTO projection (organisation, target, unit, generation, version, closing, problem, verified_at)"
        " SELECT organisation, %s, unit, generation, version, closing, problem, at FROM unnest(%b::text[], %b::text[],"
        " %b::int[], %b::bigint[], %b::boolean[], %b::text[], %b::timestamptz[])"
        " AS v (organisation, unit, generation, version, closing, problem, at)"
        " ON CONFLICT (organisation, target, unit) DO UPDATE SET generation = excluded.generation,"
        " version = excluded.version, closing = excluded.closing, problem = excluded.problem,"
        " verified_at = excluded.verified_at",
        (
            target,
            [one.organisation for one in ordered],
            [one.unit for one in ordered],
            [one.generation for one in ordered],
            [one.version for one in ordered],
            [one.closing for one in ordered],
            [one.problem for one in ordered],
            [one.at for one in ordered],
        ),
    )
    await _objects(conn, "unit_object", target, [(one, one.stands) for one in ordered], named=True)
    await _objects(conn, "candidate", target, [(one, one.candidates) for one in ordered], named=False)
    over = [(one, kind) for one in ordered for kind in sorted(one.gone)]
    settled = [(one, kind) for one in ordered for kind in Kind if kind not in one.candidates]
    await _delete(conn, "unit_object", target, over)
    await _delete(conn, "candidate", target, settled)
    await _delete(conn, "adoption", target, [(one, kind) for one in ordered for kind in one.stands])


async def _objects(
    conn: Connection, table: str, target: str, rows: Sequence[tuple[Verified, Mapping[Kind, Observed]]], *, named: bool
) -> None:
    found = [(one, kind, seen) for one, objects in rows for kind, seen in sorted(objects.items())]
    if not found:
        return
    columns = {
        "organisation": [one.organisation for one, _, _ in found],
        "unit": [one.unit for one, _, _ in found],
        "kind": [kind.value for _, kind, _ in found],
        "entry": [seen.entry for _, _, seen in found],
        "place": [seen.place for _, _, seen in found],
        **({"name": [seen.name for _, _, seen in found]} if named else {}),
    }
    names, values = ", ".join(columns), ", ".join("%b::text[]" for _ in columns)
    changed = [name for name in columns if name not in {"organisation", "unit", "kind"}]
    sets = ", ".join(f"{name} = excluded.{name}" for name in changed)
    old, new = (", ".join(f"{prefix}.{name}" for name in changed) for prefix in ("o", "excluded"))
    await conn.execute(
        f"INSERT INTO {table} AS o (target, {names}) SELECT %s, r.* FROM unnest({values}) AS r"
        f" ON CONFLICT (organisation, target, unit, kind) DO UPDATE SET {sets}"
        f" WHERE ({old}) IS DISTINCT FROM ({new})".encode(),
        (target, *columns.values()),
    )


async def _delete(conn: Connection, table: str, target: str, rows: Sequence[tuple[Verified, Kind]]) -> None:
    if rows:
        await conn.execute(
            f"DELETE FROM {table} t USING unnest(%b::text[], %b::text[], %b::text[]) AS k (organisation, unit, kind)"
            " WHERE (t.organisation, t.target, t.unit, t.kind) = (k.organisation, %s, k.unit, k.kind)".encode(),
            (
                [one.organisation for one, _ in rows],
                [one.unit for one, _ in rows],
                [kind.value for _, kind in rows],
                target,
            ),
        )


async def population(conn: Connection, organisation: str, target: str) -> int:
    """Count the units for which something stands."""
    cursor = await conn.execute(
        "SELECT count(DISTINCT unit) FROM unit_object WHERE organisation = %s AND target = %s", (organisation, target)
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def beside(conn: Connection, below: Sequence[Unit], above: Sequence[Unit]) -> set[Unit]:
    """Return the units right below some, and those right above others, as they are in effect now."""
    cursor = await conn.execute(
        "SELECT e.organisation, e.unit FROM effective_unit e"
        " JOIN unnest(%b::text[], %b::text[]) AS k (organisation, unit) ON (e.organisation, e.parent)"
        " = (k.organisation, k.unit) UNION SELECT e.organisation, e.parent FROM effective_unit e"
        " JOIN unnest(%b::text[], %b::text[]) AS k (organisation, unit) USING (organisation, unit)"
        " WHERE e.parent IS NOT NULL",
        ([one[0] for one in below], [one[1] for one in below], [one[0] for one in above], [one[1] for one in above]),
    )
    return {(row[0], row[1]) for row in await cursor.fetchall()}


WAITS = ("unit.below_itself", "unit.container_missing", "unit.not_empty")
"""Why a unit waits for another one, it is not known which, to stand elsewhere."""


async def moved(conn: Connection, target: str, units: Sequence[Unit]) -> set[Unit]:
    """Note that these stand elsewhere now, and return who may have waited for that."""
    organisations = sorted({unit[0] for unit in units})
    await _in_order(conn, target, organisations)
    await conn.execute(
        "UPDATE projection p SET moved_at = clock_timestamp()"
        " FROM unnest(%b::text[], %b::text[]) AS k (organisation, unit)"
        " WHERE (p.organisation, p.target, p.unit) = (k.organisation, %s, k.unit)",
        ([unit[0] for unit in units], [unit[1] for unit in units], target),
    )
    cursor = await conn.execute(
        "SELECT organisation, unit FROM projection WHERE target = %s AND organisation = ANY(%s)"
        " AND problem IS NOT NULL AND problem::jsonb ->> 'code' = ANY(%s)",
        (target, organisations, list(WAITS)),
    )
    return {(row[0], row[1]) for row in await cursor.fetchall()}


async def passed_by(conn: Connection, target: str, waiting: Mapping[Unit, datetime]) -> set[Unit]:
    """Return those who wait and looked at an instant, when something moved after it: they may have looked too early."""
    await _in_order(conn, target, sorted({unit[0] for unit in waiting}))
    cursor = await conn.execute(
        "SELECT k.organisation, k.unit FROM unnest(%b::text[], %b::text[], %b::timestamptz[])"
        " AS k (organisation, unit, since) WHERE EXISTS (SELECT FROM projection p WHERE p.organisation = k.organisation"
        " AND p.target = %s AND p.moved_at > k.since)",
        ([unit[0] for unit in waiting], [unit[1] for unit in waiting], list(waiting.values()), target),
    )
    return {(row[0], row[1]) for row in await cursor.fetchall()}


async def _in_order(conn: Connection, target: str, organisations: Sequence[str]) -> None:
    """Order "it moved" and "it waits", until the transaction ends, or each could miss the other."""
    for organisation in organisations:
        key = f"{target}/{organisation}"
        await conn.execute("SELECT pg_advisory_xact_lock(hashtext('orgtree.moved'), hashtext(%s))", (key,))


async def known_units(conn: Connection, organisation: str, target: str) -> list[str]:
    """Return all units that are in effect, or for which something stands."""
    cursor = await conn.execute(
        "SELECT unit FROM effective_unit WHERE organisation = %(organisation)s AND record IS NOT NULL UNION"
        " SELECT unit FROM unit_object WHERE organisation = %(organisation)s AND target = %(target)s ORDER BY 1",
        {"organisation": organisation, "target": target},
    )
    return [row[0] for row in await cursor.fetchall()]


async def of_unit(conn: Connection, organisation: str, unit: str) -> list[dict[str, Any]]:
    """Return how a unit stands in every target: its objects, and why not all is as it shall be."""
    cursor = await conn.execute(
        "SELECT p.target, p.problem::jsonb, p.verified_at, (SELECT coalesce(jsonb_agg(jsonb_build_object("
        "'kind', o.kind, 'name', o.name, 'place', o.place) ORDER BY o.kind), '[]') FROM unit_object o"
        " WHERE (o.organisation, o.target, o.unit) = (p.organisation, p.target, p.unit))"
        " FROM projection p WHERE p.organisation = %s AND p.unit = %s ORDER BY p.target",
        (organisation, unit),
    )
    names = ("target", "problem", "verifiedAt", "objects")
    return [dict(zip(names, row, strict=True)) for row in await cursor.fetchall()]


async def problems(conn: Connection, organisation: str, target: str, *, limit: int) -> list[dict[str, Any]]:
    """Return units that do not stand as they shall, and why; the oldest first."""
    cursor = await conn.execute(
        "SELECT p.unit, p.problem::jsonb, w.state, w.problem_since, w.retry_at FROM projection p LEFT JOIN work w"
        " ON (w.organisation, w.kind, w.subject, w.target) = (p.organisation, 'unit', p.unit, p.target)"
        " WHERE p.organisation = %s AND p.target = %s AND p.problem IS NOT NULL ORDER BY w.problem_since, 1 LIMIT %s",
        (organisation, target, limit),
    )
    names = ("unit", "problem", "state", "since", "retryAt")
    return [dict(zip(names, row, strict=True)) for row in await cursor.fetchall()]


async def tally(conn: Connection, organisation: str, target: str) -> dict[str, Any]:
    """Count what stands in a target, what does not stand as it shall, what was found, and when that was."""
    cursor = await conn.execute(
        "SELECT (SELECT count(DISTINCT unit) FROM unit_object o WHERE (o.organisation, o.target) = k.k),"
        " (SELECT count(*) FROM group_member m WHERE (m.organisation, m.target) = k.k AND m.held IS NOT NULL),"
        " (SELECT count(*) FROM group_member m WHERE (m.organisation, m.target) = k.k"
        " AND (NOT m.wanted OR m.held IS DISTINCT FROM m.entry)),"
        " (SELECT count(*) FROM projection p WHERE (p.organisation, p.target) = k.k AND p.problem IS NOT NULL),"
        " (SELECT count(*) FROM finding f WHERE (f.organisation, f.target) = k.k),"
        " (SELECT count(*) FROM candidate c WHERE (c.organisation, c.target) = k.k),"
        " (SELECT last_good FROM reading r WHERE (r.organisation, r.target) = k.k AND r.kind = 'drift')"
        " FROM (SELECT (%s::text, %s::text) AS k) k",
        (organisation, target),
    )
    row = await cursor.fetchone()
    names = ("units", "members", "membersWaiting", "problems", "findings", "candidates", "comparedAt")
    return dict(zip(names, row or (), strict=True))
