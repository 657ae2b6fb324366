"""Reading people: those whom the reader sees."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import class_row

from contracts.codes import AccountState
from services.kernel.database import Connection
from services.status.domain.sight import Sight
from services.status.domain.views import PersonItem, PlaceView, TimelineItem, UnitItem
from services.status.store.sight import values, visible

_USER_NAMES = (
    "ARRAY(SELECT a.user_name FROM account a WHERE a.organisation = p.organisation AND a.person = p.person"
    " AND a.user_name IS NOT NULL ORDER BY a.target)"
)
_ITEM = (
    f"p.person AS id, p.display AS name, p.protection, p.revision, {_USER_NAMES} AS user_names,"
    " p.core -> 'access' AS access, (p.core ->> 'aliasOf')::uuid AS alias_of,"
    " coalesce(p.core -> 'aliases', '[]') AS aliases"
)


@dataclass(frozen=True)
class Listed:
    """A person in a list with its sort key."""

    sort_name: str
    item: PersonItem


@dataclass(frozen=True)
class EvaluationRow:
    """The newest evaluation at one target, with the account there."""

    service: str
    target: str
    revision: int
    as_of: datetime
    next_due: datetime | None
    policy_hash: str
    steps: list[dict[str, Any]]
    why: list[dict[str, Any]]
    observed: AccountState | None
    user_name: str | None
    mail: str | None
    verified_at: datetime | None
    groups: list[str]
    licences: list[str]
    mail_routes: list[str]


async def search(
    conn: Connection,
    organisation: str,
    query: str | None,
    after: tuple[str, UUID] | None,
    limit: int,
    *,
    sight: Sight,
) -> list[Listed]:
    """Return people by name, nobody erased; `query` is a tsquery (index person_search), without it all (person_listed).

    Whom a query finds is looked up first and sorted then: people of one name stand together, so a walk by name until
    enough are found would pass nearly everybody.
    """
    seen = (
        f"SELECT p.* FROM person p WHERE p.organisation = %(organisation)s AND NOT p.erased AND {visible(sight, 'p')}"
    )
    found = (
        f"WITH p AS MATERIALIZED ({seen} AND p.search @@ %(query)s::tsquery) SELECT p.sort_name, {_ITEM} FROM p"
        if query is not None
        else f"SELECT p.sort_name, {_ITEM} FROM ({seen}) p"
    )
    cursor = await conn.execute(
        found
        + (" WHERE (p.sort_name, p.person) > (%(name)s, %(person)s)" if after is not None else "")
        + " ORDER BY p.sort_name, p.person LIMIT %(limit)s",
        {
            "organisation": organisation,
            **values(sight),
            "query": query,
            "name": after[0] if after else None,
            "person": after[1] if after else None,
            "limit": limit,
        },
    )
    return [
        Listed(
            row[0],
            PersonItem(
                id=row[1],
                name=row[2],
                protection=row[3],
                revision=row[4],
                user_names=row[5],
                access=row[6],
                alias_of=row[7],
                aliases=row[8],
            ),
        )
        async for row in cursor
    ]


async def person(conn: Connection, organisation: str, person_id: UUID, *, sight: Sight) -> PersonItem | None:
    """Return one person, or None when unknown or hidden; uses the primary key."""
    async with conn.cursor(row_factory=class_row(PersonItem)) as cursor:
        await cursor.execute(
            f"SELECT {_ITEM} FROM person p WHERE p.organisation = %(organisation)s AND p.person = %(person)s"
            f" AND {visible(sight, 'p')}",
            {"organisation": organisation, "person": person_id, **values(sight)},
        )
        return await cursor.fetchone()


async def erased(conn: Connection, organisation: str, person_id: UUID) -> bool:
    """Tell whether a person was there and is erased; uses the primary key."""
    cursor = await conn.execute(
        "SELECT erased FROM person WHERE organisation = %s AND person = %s", (organisation, person_id)
    )
    row = await cursor.fetchone()
    return row is not None and bool(row[0])


async def place(conn: Connection, organisation: str, person_id: UUID) -> PlaceView | None:
    """Return where somebody is, with the units' names; uses the primary keys."""
    cursor = await conn.execute(
        "SELECT p.unit, p.memberships, p.changed_at, (SELECT jsonb_object_agg(u.unit, u.name) FROM unit u"
        " WHERE u.organisation = p.organisation AND u.unit = ANY(array_append(p.memberships, p.unit)))"
        " FROM place p WHERE p.organisation = %s AND p.person = %s",
        (organisation, person_id),
    )
    row = await cursor.fetchone()
    if row is None:
        return None
    unit, memberships, changed_at, names = row
    called = [UnitItem(unit=one, name=(names or {}).get(one)) for one in memberships]
    here = None if unit is None else UnitItem(unit=unit, name=(names or {}).get(unit))
    return PlaceView(unit=here, memberships=called, changed_at=changed_at)


async def evaluations(conn: Connection, organisation: str, person_id: UUID) -> Sequence[EvaluationRow]:
    """Return the newest evaluation at each target with the account there; uses the primary keys."""
    async with conn.cursor(row_factory=class_row(EvaluationRow)) as cursor:
        await cursor.execute(
            "SELECT e.service, e.target, e.revision, e.as_of, e.next_due, e.policy_hash, e.steps, e.why,"
            " a.state AS observed, a.user_name, a.mail, a.verified_at,"
            " coalesce(a.record -> 'groups', '[]') AS groups, coalesce(a.record -> 'licences', '[]') AS licences,"
            " coalesce(a.record -> 'mailRoutes', '[]') AS mail_routes"
            " FROM evaluation e"
            " LEFT JOIN account a ON a.organisation = e.organisation AND a.person = e.person AND a.target = e.target"
            " AND e.service = 'accounts' WHERE e.organisation = %s AND e.person = %s ORDER BY e.service, e.target",
            (organisation, person_id),
        )
        return await cursor.fetchall()


async def timeline(
    conn: Connection, organisation: str, person_id: UUID, before: tuple[datetime, str, str] | None, limit: int
) -> list[TimelineItem]:
    """Return what happened to a person, newest first; the three tables' primary keys begin with the person."""
    async with conn.cursor(row_factory=class_row(TimelineItem)) as cursor:
        await cursor.execute(
            "SELECT at, source, key, body FROM timeline WHERE organisation = %(organisation)s AND person = %(person)s"
            + (" AND (at, source, key) < (%(at)s, %(source)s, %(key)s)" if before else "")
            + " ORDER BY at DESC, source DESC, key DESC LIMIT %(limit)s",
            {
                "organisation": organisation,
                "person": person_id,
                "at": before[0] if before else None,
                "source": before[1] if before else None,
                "key": before[2] if before else None,
                "limit": limit,
            },
        )
        return await cursor.fetchall()
