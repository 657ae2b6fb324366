"""Who is who: official numbers and their holders, a source's ids, and the cases that a person decides."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from psycopg.rows import class_row

from services.ingestion.domain.access import SOURCE
from services.ingestion.domain.identity import Ties
from services.kernel.database import Connection, recordset

PersonKey = tuple[str, UUID]

SHARED, RETURNED, ASKED = "shared_number", "id_returned", "asked"
PAGE = 50


@dataclass(frozen=True)
class Numbers:
    """What has changed in a person's official numbers."""

    gained: frozenset[str]
    lost: frozenset[str]


@dataclass(frozen=True)
class IdentityCase:
    """A question that only a person can answer. State: open, merged, separate or split.

    `person` was there first; `other` came later, with a number that `person` has (`shared_number`), or under an id of a
    source that had meant `person` (`id_returned`). `asked`: a person saw it without our help.
    """

    id: UUID
    organisation: str
    kind: str
    person: UUID
    other: UUID
    source: str | None
    external_id: str | None
    opened_at: datetime
    state: str
    actor: str | None
    reason: str | None
    decided_at: datetime | None


@dataclass(frozen=True)
class KnownAs:
    """An id by which a source knows a person. `recognised`: linked by a machine at first sight."""

    source: str
    external_id: str
    origin: UUID | None
    recognised: bool
    first_seen_at: datetime


@dataclass(frozen=True)
class Waiting:
    """How many cases of a kind wait for a person, and since when the oldest of them does."""

    kind: str
    count: int
    since: datetime


_UNPROTECTED = (
    "(%(protected)s OR NOT EXISTS (SELECT FROM person p WHERE p.organisation = c.organisation"
    " AND p.id IN (c.person, c.other)"
    " AND coalesce(p.core ->> 'protection', p.state ->> 'protection', 'none') <> 'none'))"
)

_COLUMNS = (
    "c.id, c.organisation, c.kind, c.person, c.other, c.source, c.external_id, c.opened_at, c.state, c.actor, c.reason,"
    " c.decided_at"
)


async def number(conn: Connection, changed: Mapping[PersonKey, Numbers]) -> None:
    """Keep who holds which number; who comes with a number that somebody else has becomes a case, once.

    The primary key decides between two who come at the same time. Locks are taken in the order of the numbers.
    """
    gained = [
        {"organisation": key[0], "number": one, "person": key[1]}
        for key, numbers in changed.items()
        for one in numbers.gained
    ]
    lost = [
        {"organisation": key[0], "number": one, "person": key[1]}
        for key, numbers in changed.items()
        for one in numbers.lost
    ]
    rows = " FROM json_to_recordset(%s::json) AS n (organisation text, number text, person uuid)"
    if lost:
        await conn.execute(
            f"DELETE FROM official_number o USING (SELECT *{rows}) n WHERE o.organisation = n.organisation"
            " AND o.number = n.number AND o.person = n.person",
            (recordset(lost),),
        )
        # whoever has asked for it, and still has it, is the next
        await conn.execute(
            f"INSERT INTO official_number (organisation, number, person) SELECT n.organisation, n.number, c.other{rows}"
            " JOIN identity_case c ON c.organisation = n.organisation AND c.person = n.person"
            f" AND c.kind = '{SHARED}' AND c.state IN ('open', 'separate')"
            " JOIN person p ON p.organisation = c.organisation AND p.id = c.other AND EXISTS (SELECT"
            " FROM jsonb_array_elements(coalesce(p.state -> 'identifiers', '[]')) i"
            " WHERE regexp_replace(i ->> 'value', '[^0-9]', '', 'g') = n.number) ON CONFLICT DO NOTHING",
            (recordset(lost),),
        )
    if not gained:
        return
    said = recordset(sorted(gained, key=lambda row: (str(row["organisation"]), str(row["number"]), str(row["person"]))))
    await conn.execute(
        f"INSERT INTO official_number (organisation, number, person) SELECT *{rows} ON CONFLICT DO NOTHING", (said,)
    )
    await conn.execute(
        "INSERT INTO identity_case (id, organisation, kind, person, other)"
        f" SELECT gen_random_uuid(), n.organisation, '{SHARED}', o.person, n.person{rows}"
        " CROSS JOIN LATERAL (SELECT person FROM official_number WHERE organisation = n.organisation"
        " AND number = n.number OFFSET 0) o WHERE o.person <> n.person ON CONFLICT DO NOTHING",
        (said,),
    )


async def returned(conn: Connection, case: IdentityCase) -> None:
    """Let a source's id mean somebody new, who is held until the case is decided."""
    assert case.source is not None and case.external_id is not None  # noqa: S101, PT018 - of this kind they always are
    await remap(conn, case.organisation, [(case.source, case.external_id)], case.other, origin=case.person)
    await add(conn, case)


async def remap(
    conn: Connection, organisation: str, ids: Iterable[tuple[str, str]], person: UUID, *, origin: UUID | None
) -> None:
    """Let ids of sources mean a person, and remember whom they meant before."""
    await conn.execute(
        "UPDATE source_identity s SET person = %s, origin = %s FROM json_to_recordset(%s::json)"
        " AS k (source text, external_id text) WHERE s.organisation = %s AND s.source = k.source"
        " AND s.external_id = k.external_id",
        (person, origin, _pairs(ids), organisation),
    )


async def absorb(conn: Connection, organisation: str, kept: UUID, absorbed: UUID) -> None:
    """Let all that was told of one person be told of another: ids, facts and numbers."""
    both = (kept, organisation, absorbed)
    await conn.execute(
        "UPDATE source_identity SET person = %s, origin = coalesce(origin, person) WHERE organisation = %s"
        " AND person = %s",
        both,
    )
    await conn.execute("UPDATE fact SET person = %s WHERE organisation = %s AND person = %s", both)
    await conn.execute("UPDATE official_number SET person = %s WHERE organisation = %s AND person = %s", both)
    for column, counterpart in (("person", "other"), ("other", "person")):
        # what was asked of the absorbed is asked of who goes on, unless it is asked already
        await conn.execute(
            f"UPDATE identity_case c SET {column} = %s WHERE organisation = %s AND {column} = %s AND state = 'open'"
            f" AND c.{counterpart} <> %s AND NOT EXISTS (SELECT FROM identity_case k WHERE"
            " k.organisation = c.organisation AND k.kind = c.kind AND k.state IN ('open', 'separate')"
            f" AND (k.person, k.other) IN ((%s, c.{counterpart}), (c.{counterpart}, %s)))",
            (kept, organisation, absorbed, kept, kept, kept),
        )


async def take_out(
    conn: Connection, organisation: str, person: UUID, ids: Sequence[tuple[str, str]], other: UUID
) -> None:
    """Let facts that were told under some ids be facts of another person; the ids mean that one now."""
    await conn.execute(
        "UPDATE fact f SET person = %s FROM json_to_recordset(%s::json) AS k (source text, external_id text)"
        " WHERE f.organisation = %s AND f.person = %s AND f.source = k.source"
        " AND f.body #>> '{data,externalId}' = k.external_id",
        (other, _pairs(ids), organisation, person),
    )
    await remap(conn, organisation, ids, other, origin=None)


def _pairs(ids: Iterable[tuple[str, str]]) -> str:
    return recordset({"source": source, "external_id": external} for source, external in sorted(ids))


async def tie(conn: Connection, ties: Mapping[PersonKey, Ties]) -> None:
    """Store what binds ids to each other."""
    for key, one in sorted(ties.items()):
        await conn.execute(
            "UPDATE person SET ties = %s::jsonb WHERE organisation = %s AND id = %s",
            (one.model_dump_json(by_alias=True, exclude_defaults=True), *key),
        )


async def known_as(conn: Connection, organisation: str, person: UUID) -> list[KnownAs]:
    """Return the ids by which sources know a person; uses source_identity_person."""
    async with conn.cursor(row_factory=class_row(KnownAs)) as cursor:
        await cursor.execute(
            "SELECT source, external_id, origin, recognised, first_seen_at FROM source_identity"
            " WHERE organisation = %s AND person = %s AND source <> %s ORDER BY first_seen_at, source, external_id",
            (organisation, person, SOURCE),
        )
        return await cursor.fetchall()


async def add(conn: Connection, case: IdentityCase) -> None:
    """Store a case."""
    await conn.execute(
        "INSERT INTO identity_case (id, organisation, kind, person, other, source, external_id, opened_at, state,"
        " actor, reason, decided_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            case.id,
            case.organisation,
            case.kind,
            case.person,
            case.other,
            case.source,
            case.external_id,
            case.opened_at,
            case.state,
            case.actor,
            case.reason,
            case.decided_at,
        ),
    )


async def noted(
    conn: Connection, organisation: str, person: UUID, other: UUID, state: str, actor: str, reason: str
) -> None:
    """Keep a decision that no case had asked for."""
    await conn.execute(
        "INSERT INTO identity_case (id, organisation, kind, person, other, state, actor, reason, decided_at)"
        " SELECT %(id)s, %(organisation)s, %(kind)s, %(person)s, %(other)s, %(state)s, %(actor)s, %(reason)s, now()"
        " WHERE NOT EXISTS (SELECT FROM identity_case WHERE organisation = %(organisation)s AND decided_at = now()"
        " AND person IN (%(person)s, %(other)s) AND other IN (%(person)s, %(other)s))",
        {
            "id": uuid4(),
            "organisation": organisation,
            "kind": ASKED,
            "person": person,
            "other": other,
            "state": state,
            "actor": actor,
            "reason": reason,
        },
    )


async def forget_origin(conn: Connection, organisation: str, person: UUID, *, of: UUID | None = None) -> None:
    """Let a person's ids, those from `of` alone when it is named, be nobody else's to give back."""
    await conn.execute(
        "UPDATE source_identity SET origin = NULL WHERE organisation = %s AND person = %s"
        " AND coalesce(origin = %s, true)",
        (organisation, person, of),
    )


async def find(conn: Connection, organisation: str, case: UUID) -> IdentityCase | None:
    """Return a case, locked until the transaction ends."""
    async with conn.cursor(row_factory=class_row(IdentityCase)) as cursor:
        await cursor.execute(
            f"SELECT {_COLUMNS} FROM identity_case c WHERE id = %s AND organisation = %s FOR UPDATE",
            (case, organisation),
        )
        return await cursor.fetchone()


async def cases(
    conn: Connection,
    organisation: str,
    *,
    undecided: bool,
    about: UUID | None,
    after: tuple[datetime, UUID] | None,
    protected: bool,
) -> list[IdentityCase]:
    """Return a page of cases, all or `about` one person; those about protected people only to who may see them.

    The oldest come first.
    """
    open_only = " AND c.state = 'open'" if undecided else ""
    async with conn.cursor(row_factory=class_row(IdentityCase)) as cursor:
        await cursor.execute(
            f"SELECT {_COLUMNS} FROM identity_case c WHERE c.organisation = %(organisation)s{open_only}"
            " AND (c.opened_at, c.id) > (coalesce(%(at)s, '-infinity'::timestamptz),"
            " coalesce(%(id)s, '00000000-0000-0000-0000-000000000000'::uuid))"
            " AND (%(about)s::uuid IS NULL OR %(about)s IN (c.person, c.other))"
            f" AND {_UNPROTECTED} ORDER BY c.opened_at, c.id LIMIT %(limit)s",
            {
                "organisation": organisation,
                "about": about,
                "at": after[0] if after else None,
                "id": after[1] if after else None,
                "protected": protected,
                "limit": PAGE,
            },
        )
        return await cursor.fetchall()


async def waiting(conn: Connection, organisation: str, *, protected: bool) -> list[Waiting]:
    """Return how many cases wait; uses identity_case_open. Those about protected people count for who may see them."""
    async with conn.cursor(row_factory=class_row(Waiting)) as cursor:
        await cursor.execute(
            "SELECT c.kind, count(*) AS count, min(c.opened_at) AS since FROM identity_case c"
            f" WHERE c.organisation = %(organisation)s AND c.state = 'open' AND {_UNPROTECTED}"
            " GROUP BY c.kind ORDER BY since",
            {"organisation": organisation, "protected": protected},
        )
        return await cursor.fetchall()


async def close(
    conn: Connection, organisation: str, pair: tuple[UUID, UUID], state: str, actor: str, reason: str
) -> None:
    """Close the open cases between two persons."""
    await conn.execute(
        "UPDATE identity_case SET state = %s, actor = %s, reason = %s, decided_at = now() WHERE organisation = %s"
        " AND state = 'open' AND person = ANY(%s) AND other = ANY(%s)",
        (state, actor, reason, organisation, list(pair), list(pair)),
    )
