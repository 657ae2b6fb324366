"""What a reader sees, in SQL: the one condition that every query about people carries."""

from collections.abc import Collection
from dataclasses import replace
from typing import Any
from uuid import UUID

from services.kernel.clock import BUSINESS_NOW
from services.kernel.database import Connection
from services.status.domain.sight import Sight, Staff

FOLLOWED_DAYS = 30
"""How long a manager sees somebody who has left: until what is left to do is done."""
FEW = 2_000
"""So many people are looked up by their keys; of more there is one soon enough wherever a list begins."""

_SINCE = f"({BUSINESS_NOW} AT TIME ZONE %(zone)s::text)::date - {FOLLOWED_DAYS}"
_STANDS = f"coalesce((u.record ->> 'validTo')::date, 'infinity') >= {_SINCE}"
_OWN_UNITS = (
    "ARRAY(WITH RECURSIVE own (unit) AS (SELECT u.unit FROM unit u WHERE u.organisation = %(organisation)s"
    f" AND u.record ->> 'manager' = ANY(%(managers)b::text[]) AND {_STANDS}"
    # UNION, not UNION ALL: units that are each other's parents end here
    " UNION SELECT u.unit FROM own o JOIN unit u ON u.organisation = %(organisation)s"
    f" AND u.record ->> 'parent' = o.unit AND {_STANDS}) SELECT unit FROM own)"
)
"""Units that name the manager, with all below them (unit_manager, unit_parent), as HR records them now.

One that is closed gives nobody to see when those who were in it are not followed any more."""
_OWN = f"(l.manager = ANY(%(managers)b::text[]::uuid[]) OR l.unit = ANY({_OWN_UNITS})) AND l.until >= {_SINCE}"

OWN_STAFF = f"SELECT DISTINCT l.person FROM placement l WHERE l.organisation = %(organisation)s AND {_OWN}"


def visible(sight: Sight, alias: str, unprotected: str = "{}.protection = 'none'") -> str:
    """Return the condition on a table of people, or of what is theirs, under an alias.

    Args:
        sight: Whom the reader sees; `values` are the parameters, beside `organisation`.
        alias: The table's; it has `organisation` and `person`.
        unprotected: How the table says that somebody is not protected; `{}` is the alias.
    """
    parts = [] if sight.protected else [unprotected.format(alias)]
    if sight.staff is not None and sight.staff.few is not None:
        parts.append(f"{alias}.person = ANY(%(few)b::uuid[])")
    elif sight.staff is not None:
        parts.append(
            f"EXISTS (SELECT FROM placement l WHERE l.organisation = {alias}.organisation"
            f" AND l.person = {alias}.person AND {_OWN})"
        )
    return " AND ".join(parts) or "true"


def values(sight: Sight) -> dict[str, Any]:
    """Return the parameters of `visible`; nobody's staff has no manager, and null is equal to nothing."""
    if sight.staff is None:
        return {}
    if sight.staff.few is not None:
        return {"few": list(sight.staff.few)}
    return rule(sight.staff)


def rule(staff: Staff) -> dict[str, Any]:
    """Return the parameters of `OWN_STAFF`, beside `organisation`."""
    ids = () if staff.manager is None else (staff.manager, *staff.others)
    return {"managers": [str(one) for one in ids], "zone": staff.zone.key}


async def looked_up(conn: Connection, organisation: str, staff: Staff) -> Staff:
    """Return the staff with its people, if they are few; uses placement_unit and placement_manager.

    A planner cannot know how many they are, and would walk all cases for the few of a small unit.
    """
    if staff.manager is not None:
        staff = replace(staff, others=await _also(conn, organisation, staff.manager))
    parameters = {"organisation": organisation, **rule(staff)}
    cursor = await conn.execute(f"{OWN_STAFF} LIMIT {FEW + 1}", parameters)
    found = tuple([row[0] async for row in cursor])
    return staff if len(found) > FEW else replace(staff, few=found)


async def _also(conn: Connection, organisation: str, person: UUID) -> tuple[UUID, ...]:
    """Return the other ids of a person: whom it was merged into, and what was merged into either; by primary keys."""
    cursor = await conn.execute(
        "SELECT p.core ->> 'aliasOf', coalesce(k.core, p.core) -> 'aliases' FROM person p LEFT JOIN person k"
        " ON k.organisation = p.organisation AND k.person = (p.core ->> 'aliasOf')::uuid"
        " WHERE p.organisation = %s AND p.person = %s",
        (organisation, person),
    )
    row = await cursor.fetchone()
    if row is None:
        return ()
    found = {UUID(one) for one in ([row[0]] if row[0] else []) + (row[1] or [])}
    return tuple(sorted(found - {person}))


async def seen(conn: Connection, organisation: str, sight: Sight, persons: Collection[UUID]) -> set[UUID]:
    """Return those of these people whom the reader sees now; uses the primary keys of person and placement."""
    now = replace(sight, staff=replace(sight.staff, few=None)) if sight.staff is not None else sight
    cursor = await conn.execute(
        "SELECT p.person FROM person p WHERE p.organisation = %(organisation)s"
        f" AND p.person = ANY(%(persons)b::uuid[]) AND {visible(now, 'p')}",
        {"organisation": organisation, "persons": list(persons), **values(now)},
    )
    return {row[0] async for row in cursor}
