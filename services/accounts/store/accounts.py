"""What stands in the targets, as far as we have verified it."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import orjson
from psycopg.types.json import Jsonb
from pydantic import TypeAdapter

from contracts.codes import AccountState
from services.accounts.domain.timeline import KnownEnding
from services.kernel.database import Connection

PAGE = 500
_ENDINGS = TypeAdapter(tuple[KnownEnding, ...])


@dataclass(frozen=True)
class AccountRow:
    """One person's account in one target. `event` is the last account.changed; `used`: it has been open.

    `written`: digests of the attributes as we wrote them last. `locked_at`: since when another hand keeps it closed.
    `place`: below what it stood when it was first seen. `moved`: this pass has moved it there. `reference`: how other
    entries refer to it. `leads`: it may be shown as a manager's. `looks`: what its own manager depends on.
    """

    organisation: str
    person: UUID
    target: str
    state: AccountState
    user_name: str | None
    mail: str | None
    entry: str | None
    generation: int
    version: int
    changed_at: datetime
    verified_at: datetime
    known: bool
    enabled_from: datetime | None
    closed_at: datetime | None
    echoes: tuple[str, ...]
    hold: UUID | None
    signature: str | None
    next_due: datetime | None
    event: str | None
    endings: tuple[KnownEnding, ...] = ()
    used: bool = False
    written: Mapping[str, str] = field(default_factory=dict)
    locked_at: datetime | None = None
    reference: str | None = None
    leads: bool | None = None
    looks: tuple[str, ...] = ()
    place: str | None = None
    moved: bool = False


_COLUMNS = (
    "organisation, person, target, state, user_name, mail, entry, generation, version, changed_at, verified_at, known,"
    " enabled_from, closed_at, echoes, hold, signature, next_due, event, endings, used, written, locked_at, reference,"
    " leads, looks, place"
)
_NAMES = _COLUMNS.split(", ")
_SET = ", ".join(f"{column} = excluded.{column}" for column in _NAMES[3:-1])
# a pass that had read what was before is told from one that has not by when it was stored
_SINCE = (
    "looks_since = CASE WHEN account.looks IS DISTINCT FROM excluded.looks THEN excluded.looks_since"
    " ELSE account.looks_since END"
)
# a person may have accepted another place since the pass began
_PLACE = (
    "place = CASE WHEN %s OR account.entry IS DISTINCT FROM excluded.entry OR account.place IS NULL"
    " THEN excluded.place ELSE account.place END"
)


async def load(conn: Connection, target: str, keys: Sequence[tuple[str, UUID]]) -> dict[tuple[str, UUID], AccountRow]:
    """Return the rows of many people in one round, by primary key."""
    cursor = await conn.execute(
        f"SELECT {', '.join('a.' + column for column in _NAMES)} FROM account a"
        " JOIN unnest(%b::text[], %b::uuid[]) AS k (organisation, person) USING (organisation, person)"
        " WHERE a.target = %s",
        ([key[0] for key in keys], [key[1] for key in keys], target),
    )
    return {(row[0], row[1]): _row(row) for row in await cursor.fetchall()}


async def store(conn: Connection, rows: Sequence[AccountRow]) -> None:
    """Write the rows; the caller's lease on each person's work makes them the newest. Keys in order."""
    if not rows:
        return
    async with conn.cursor() as cursor:
        await cursor.executemany(
            f"INSERT INTO account ({_COLUMNS}, looks_since)"
            f" VALUES ({', '.join(['%s'] * len(_NAMES))}, clock_timestamp())"
            f" ON CONFLICT (organisation, person, target) DO UPDATE SET {_SET}, {_PLACE}, {_SINCE}",
            [
                (
                    row.organisation, row.person, row.target, row.state.value, row.user_name, row.mail, row.entry,
                    row.generation, row.version, row.changed_at, row.verified_at, row.known, row.enabled_from,
                    row.closed_at, list(row.echoes), row.hold, row.signature, row.next_due, row.event,
                    Jsonb(row.endings, dumps=orjson.dumps), row.used, Jsonb(dict(row.written)), row.locked_at,
                    row.reference, row.leads, list(row.looks), row.place, row.moved,
                )
                for row in sorted(rows, key=lambda row: (row.organisation, row.person, row.target))
            ],
        )  # fmt: skip


async def population(conn: Connection, organisation: str, target: str) -> int:
    """Count the accounts that stand in a target; by the index account_managed."""
    cursor = await conn.execute(
        "SELECT count(*) FROM account WHERE organisation = %s AND target = %s AND state <> 'absent'",
        (organisation, target),
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def of_person(conn: Connection, organisation: str, person: UUID) -> list[AccountRow]:
    """Return a person's accounts in all targets; by primary key."""
    cursor = await conn.execute(
        f"SELECT {_COLUMNS} FROM account WHERE organisation = %s AND person = %s AND known ORDER BY target",
        (organisation, person),
    )
    return [_row(row) for row in await cursor.fetchall()]


async def events(conn: Connection) -> AsyncIterator[list[str]]:
    """Yield the last account.changed of every account, in pages by primary key."""
    after: tuple[str, UUID, str] = ("", UUID(int=0), "")
    while True:
        cursor = await conn.execute(
            "SELECT organisation, person, target, event FROM account WHERE (organisation, person, target)"
            " > (%s, %s, %s) AND event IS NOT NULL ORDER BY organisation, person, target LIMIT %s",
            (*after, PAGE),
        )
        rows = await cursor.fetchall()
        if not rows:
            return
        after = (rows[-1][0], rows[-1][1], rows[-1][2])
        yield [row[3] for row in rows]


def _row(row: Sequence[object]) -> AccountRow:
    values = list(row)
    values[3] = AccountState(str(values[3]))
    values[14] = tuple(values[14])  # type: ignore[arg-type]
    values[19] = _ENDINGS.validate_python(values[19])
    values[25] = tuple(values[25])  # type: ignore[arg-type]
    return AccountRow(*values)  # type: ignore[arg-type]
