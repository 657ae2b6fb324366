"""Units as folded, the tree that they stand in, and who waits for whom; one row of `tree` locks an organisation's."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any
from uuid import UUID

import orjson

from contracts.person import UnitRecord
from services.ingestion.domain.tree import UnitPlace
from services.ingestion.domain.units import UnitDossier, UnitState
from services.kernel.database import Connection, recordset

_DOSSIER = "u.organisation, u.id, u.revision, u.state::text, u.record::text, u.waits_for, u.next_boundary"
# with those that wait for one of them, and those that wait for these (unit_waits_for); UNION ends at a circle
CONCERNED = (
    "WITH RECURSIVE k AS (SELECT * FROM json_to_recordset(%s::json) AS k (organisation text, id text)),"
    " waiting AS MATERIALIZED (SELECT organisation, id, unnest(waits_for) AS above FROM unit WHERE waits_for <> '{}'"
    " AND organisation = ANY(ARRAY(SELECT organisation FROM k))),"
    " w (organisation, id) AS (SELECT * FROM k UNION SELECT p.organisation, p.id FROM w"
    " JOIN waiting p ON p.organisation = w.organisation AND p.above = w.id)"
    f" SELECT {_DOSSIER} FROM w CROSS JOIN LATERAL (SELECT * FROM unit WHERE organisation = w.organisation"
    " AND id = w.id OFFSET 0) u"
)
PLACES = (
    "SELECT organisation, id, record IS NOT NULL, state ->> 'parent', state ->> 'validFrom', state ->> 'validTo',"
    " jsonb_path_query_array(state, '$.plans[*] ? (@.field == \"parent\")')::text"
    " FROM unit WHERE organisation = ANY(%s)"
)


def keyed(units: Iterable[tuple[str, str]]) -> tuple[str]:
    """Return (organisation, unit) as the one parameter of `CONCERNED`."""
    return (recordset({"organisation": organisation, "id": unit} for organisation, unit in sorted(units)),)


def dossiers(rows: Sequence[Sequence[Any]]) -> dict[tuple[str, str], UnitDossier]:
    """Read the rows of `CONCERNED`, of whichever version wrote them."""
    return {
        (row[0], row[1]): UnitDossier(
            unit=row[1],
            revision=row[2],
            state=UnitState.model_validate_json(row[3], extra="ignore"),
            record=None if row[4] is None else UnitRecord.model_validate_json(row[4], extra="ignore"),
            waits_for=tuple(row[5]),
            next_boundary=row[6],
        )
        for row in rows
    }


def places(rows: Sequence[Sequence[Any]]) -> dict[str, dict[str, UnitPlace]]:
    """Read the rows of `PLACES`."""
    found: dict[str, dict[str, UnitPlace]] = {}
    for organisation, unit, told, parent, first, last, plans in rows:
        planned = () if plans == "[]" else orjson.loads(plans)
        moves = tuple((date.fromisoformat(one["effectiveFrom"]), one["value"]) for one in planned)
        found.setdefault(organisation, {})[unit] = UnitPlace.read(told, parent, first, last, moves)
    return found


async def concerned(conn: Connection, units: Iterable[tuple[str, str]]) -> dict[tuple[str, str], UnitDossier]:
    """Return units that are known, and those that wait for one of them."""
    wanted = keyed(units)
    return dossiers(await (await conn.execute(CONCERNED, wanted)).fetchall())


async def all_places(conn: Connection, organisations: Sequence[str]) -> dict[str, dict[str, UnitPlace]]:
    """Return where every unit of organisations stands; they have some thousand each."""
    if not organisations:
        return {}
    return places(await (await conn.execute(PLACES, (list(organisations),))).fetchall())


async def unit_bodies(
    conn: Connection, units: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], list[tuple[str, bytes]]]:
    """Return (type, event as it came) of all facts of units, to fold again; relies on the index fact_unit."""
    cursor = await conn.execute(
        "SELECT k.organisation, k.unit, f.kind, f.body::text"
        " FROM unnest(%b::text[], %b::text[]) AS k (organisation, unit) CROSS JOIN LATERAL (SELECT kind, body"
        " FROM fact WHERE organisation = k.organisation AND unit = k.unit OFFSET 0) f",
        ([key[0] for key in units], [key[1] for key in units]),
    )
    found: dict[tuple[str, str], list[tuple[str, bytes]]] = {key: [] for key in units}
    for row in await cursor.fetchall():
        found[row[0], row[1]].append((row[2], row[3].encode()))
    return found


async def write_units(conn: Connection, units: Mapping[tuple[str, str], UnitDossier], trees: Mapping[str, int]) -> None:
    """Store units and tree revisions; the tree rows are locked by this transaction."""
    await conn.execute(
        "INSERT INTO unit (organisation, id, revision, state, record, waits_for, next_boundary)"
        " SELECT organisation, id, revision, state, record, ARRAY(SELECT json_array_elements_text(waits_for)),"
        " next_boundary FROM json_to_recordset(%s::json) AS n (organisation text, id text, revision int, state jsonb,"
        " record jsonb, waits_for json, next_boundary timestamptz)"
        " ON CONFLICT (organisation, id) DO UPDATE SET revision = excluded.revision, state = excluded.state,"
        " record = excluded.record, waits_for = excluded.waits_for, next_boundary = excluded.next_boundary",
        (
            recordset(
                {
                    "organisation": key[0],
                    "id": key[1],
                    "revision": unit.revision,
                    "state": orjson.Fragment(unit.state.model_dump_json(by_alias=True)),
                    "record": orjson.Fragment(unit.record.model_dump_json(by_alias=True)) if unit.record else None,
                    "waits_for": unit.waits_for,
                    "next_boundary": unit.next_boundary,
                }
                for key, unit in sorted(units.items())
            ),
        ),
    )
    await conn.execute(
        "UPDATE tree t SET revision = n.revision"
        " FROM json_to_recordset(%s::json) AS n (organisation text, revision int)"
        " WHERE t.organisation = n.organisation",
        (recordset({"organisation": key, "revision": revision} for key, revision in trees.items()),),
    )


async def by_id(conn: Connection, organisation: str, ids: Sequence[str]) -> dict[str, UnitDossier]:
    """Return units; relies on the primary key."""
    cursor = await conn.execute(
        f"SELECT {_DOSSIER} FROM unit u WHERE u.organisation = %s AND u.id = ANY(%s)", (organisation, list(ids))
    )
    return {key[1]: unit for key, unit in dossiers(await cursor.fetchall()).items()}


async def parked(conn: Connection, organisation: str) -> set[str]:
    """Return the units that wait for one above them."""
    cursor = await conn.execute("SELECT id FROM unit WHERE organisation = %s AND waits_for <> '{}'", (organisation,))
    return {row[0] for row in await cursor.fetchall()}


async def hold(conn: Connection, organisation: str) -> None:
    """Hold the organisation's units until the transaction ends, as whoever accepts a unit does."""
    await conn.execute("SELECT 1 FROM tree WHERE organisation = %s FOR UPDATE", (organisation,))


async def people(conn: Connection, organisation: str, persons: Sequence[UUID], *, protected: bool) -> set[UUID]:
    """Return who of some people there is; who is protected only for who may see that."""
    cursor = await conn.execute(
        "SELECT id FROM person WHERE organisation = %s AND id = ANY(%s) AND core IS NOT NULL"
        " AND (%s OR core ->> 'protection' = 'none') AND coalesce(core ->> 'erased', 'false') <> 'true'",
        (organisation, list(persons), protected),
    )
    return {row[0] for row in await cursor.fetchall()}


async def protected(conn: Connection, organisation: str, persons: Iterable[UUID]) -> set[UUID]:
    """Return who of some people is protected."""
    cursor = await conn.execute(
        "SELECT id FROM person WHERE organisation = %s AND id = ANY(%s) AND core ->> 'protection' <> 'none'",
        (organisation, list(persons)),
    )
    return {row[0] for row in await cursor.fetchall()}
