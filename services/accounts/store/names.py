"""Reservations of logins and addresses: race-free by primary key, never given to another person.

Of names of erased people only keyed hashes are left. Each name is reserved with its hash, and both are unique, so that
whoever reserves while a name becomes a hash meets one or the other, in the same round.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from uuid import UUID

from services.kernel import telemetry
from services.kernel.database import Connection
from services.kernel.erasure import ErasureKey
from services.kernel.retention.classes import DataClass, rows
from services.kernel.settings import OrganisationSettings

log = telemetry.get_logger(__name__)

LOGIN = "login"
MAIL = "mail"
_ROUNDS = 12
_MARK = "#"
"""No name begins so: what follows is the key's fingerprint and a hash."""


@dataclass(frozen=True)
class Reservation:
    """A name that is a person's for ever; `refused` when something in the directory that is not ours has it.

    `released`: no account of the person was ever open and none is wanted. It rests, and goes to another person one day.
    """

    organisation: str
    person: UUID
    scope: str
    kind: str
    value: str
    stem: str
    refused: bool = False
    released: bool = False


@dataclass
class Want:
    """Somebody needs a name: the first of `values` that is free. Without a key no name was ever erased."""

    organisation: str
    person: UUID
    scope: str
    kind: str
    stem: str
    values: Iterator[str]
    key: ErasureKey | None = None

    def digest(self, value: str) -> bytes:
        """Return by what a candidate is known once its holder is erased; nothing without a key."""
        return b"" if self.key is None else _digest(self.key, self.scope, self.kind, value)


async def load(conn: Connection, keys: Sequence[tuple[str, UUID]]) -> dict[tuple[str, UUID], list[Reservation]]:
    """Return the reservations of many people in one round, oldest first; by name_reservation_person."""
    cursor = await conn.execute(
        "SELECT n.organisation, n.person, n.scope, n.kind, n.value, n.stem, n.refused_at IS NOT NULL,"
        " n.released_at IS NOT NULL"
        " FROM name_reservation n JOIN unnest(%b::text[], %b::uuid[]) AS k (organisation, person)"
        " USING (organisation, person) ORDER BY n.reserved_at, n.value",
        ([key[0] for key in keys], [key[1] for key in keys]),
    )
    found: dict[tuple[str, UUID], list[Reservation]] = defaultdict(list)
    for row in await cursor.fetchall():
        found[row[0], row[1]].append(Reservation(*row))
    return found


async def lock(conn: Connection, people: Sequence[tuple[str, UUID]]) -> None:
    """Let one transaction at a time reserve for each of these people; in order against deadlocks."""
    await conn.execute(
        "SELECT pg_advisory_xact_lock(hashtext('accounts.names'), key) FROM (SELECT DISTINCT hashtext(person) AS key"
        " FROM unnest(%b::text[]) AS p (person) ORDER BY 1) k",
        ([f"{organisation}/{person}" for organisation, person in people],),
    )


async def reserve(conn: Connection, wants: Sequence[Want]) -> list[Reservation]:
    """Reserve a name for each want; one round when the first candidates are free.

    A candidate that another transaction is just taking is waited for (primary key), then the next one is tried: two
    people of the same name at the same second get different logins. Keys are inserted in order against deadlocks.

    Returns:
        What was won. Whoever is not in it met too many others who were faster, and asks again at the next pass.
    """
    won: list[Reservation] = []
    open_ = list(wants)
    offered: set[tuple[str, str, str]] = set()
    taken: set[tuple[str, str, str]] = set()
    for round_ in range(_ROUNDS):
        if not open_:
            return won
        if round_:
            taken |= await _taken(conn, open_, ahead=8**round_)
        chosen: dict[tuple[str, str, str], Want] = {}
        for want in open_:
            key = _choose(want, offered | taken)
            chosen[key] = want
            offered.add(key)
        got = await _insert(conn, chosen)
        won += [_reservation(want, key) for key, want in chosen.items() if key in got]
        open_ = [want for key, want in chosen.items() if key not in got]
    log.warning("account.names_contended", names=len(open_))
    return won


async def release(conn: Connection, people: Sequence[tuple[str, UUID]]) -> None:
    """Let the names of people rest who have no account in any target and never had one that was open."""
    await conn.execute(
        "UPDATE name_reservation n SET released_at = now()"
        " FROM unnest(%b::text[], %b::uuid[]) AS p (organisation, person)"
        " WHERE (n.organisation, n.person) = (p.organisation, p.person) AND n.released_at IS NULL"
        " AND n.refused_at IS NULL AND NOT EXISTS (SELECT FROM account a"
        " WHERE (a.organisation, a.person) = (p.organisation, p.person) AND (a.used OR a.state <> 'absent'))",
        ([person[0] for person in people], [person[1] for person in people]),
    )


async def keep(conn: Connection, people: Sequence[tuple[str, UUID]]) -> None:
    """Take names back that were let rest: their people are wanted again."""
    await conn.execute(
        "UPDATE name_reservation n SET released_at = NULL"
        " FROM unnest(%b::text[], %b::uuid[]) AS p (organisation, person)"
        " WHERE (n.organisation, n.person) = (p.organisation, p.person) AND n.released_at IS NOT NULL",
        ([person[0] for person in people], [person[1] for person in people]),
    )


def resting(organisations: Mapping[str, OrganisationSettings]) -> DataClass:
    """Return what frees names that have rested; by name_reservation_released."""
    return rows(
        "released_names",
        {key: one.retention.names for key, one in organisations.items()},
        table="name_reservation",
        key="scope, kind, value",
        at="released_at",
        owned=True,
    )


async def refuse(conn: Connection, reservations: Sequence[Reservation]) -> None:
    """Note that names are used in the directory by something that is not ours; they stay reserved."""
    await conn.execute(
        "UPDATE name_reservation n SET refused_at = coalesce(refused_at, now())"
        " FROM unnest(%b::text[], %b::text[], %b::text[]) AS r (scope, kind, value)"
        " WHERE (n.scope, n.kind, n.value) = (r.scope, r.kind, r.value)",
        ([r.scope for r in reservations], [r.kind for r in reservations], [r.value for r in reservations]),
    )


async def erase(conn: Connection, organisation: str, person: UUID, key: ErasureKey | None) -> bool:
    """Leave only keyed hashes of a person's names; False when there are names and no key. Safe to repeat."""
    held = [one for one in (await load(conn, [(organisation, person)]))[organisation, person] if not _erased(one)]
    if key is None:
        return not held
    for one in held:
        digest = _digest(key, one.scope, one.kind, one.value)
        await conn.execute(
            "UPDATE name_reservation SET value = %s, stem = '', digest = %b"
            " WHERE scope = %s AND kind = %s AND value = %s",
            (f"{_MARK}{key.fingerprint.hex()}.{digest.hex()}", digest, one.scope, one.kind, one.value),
        )
    return True


async def other_key(conn: Connection, key: ErasureKey | None) -> bool:
    """Tell whether names were erased with another key than this one: they could be given away. Reads all names."""
    known = f"{_MARK}{key.fingerprint.hex()}." if key else "-"
    cursor = await conn.execute(
        "SELECT EXISTS (SELECT FROM name_reservation WHERE starts_with(value, %s) AND NOT starts_with(value, %s))",
        (_MARK, known),
    )
    row = await cursor.fetchone()
    return row is not None and bool(row[0])


def _erased(one: Reservation) -> bool:
    return one.value.startswith(_MARK)


def _digest(key: ErasureKey, scope: str, kind: str, value: str) -> bytes:
    return key.digest("name", scope, kind, value)


def _choose(want: Want, used: set[tuple[str, str, str]]) -> tuple[str, str, str]:
    """Take the want's next candidate that nobody has; what was looked at ahead is skipped without a round."""
    return next(key for value in want.values if (key := (want.scope, want.kind, value)) not in used)


async def _taken(conn: Connection, wants: Sequence[Want], *, ahead: int) -> set[tuple[str, str, str]]:
    keys: list[tuple[str, str, str, bytes]] = []
    for want in wants:
        coming = list(islice(want.values, min(ahead, 4096)))
        want.values = _chain(coming, want.values)
        keys += [(want.scope, want.kind, value, want.digest(value)) for value in coming]
    cursor = await conn.execute(
        "WITH k (scope, kind, value, digest) AS MATERIALIZED"
        " (SELECT * FROM unnest(%b::text[], %b::text[], %b::text[], %b::bytea[]))"
        " SELECT k.scope, k.kind, k.value FROM k JOIN name_reservation n USING (scope, kind, value)"
        " UNION ALL SELECT k.scope, k.kind, k.value FROM k JOIN name_reservation n"
        " ON n.scope = k.scope AND n.kind = k.kind AND n.digest = k.digest AND n.digest IS NOT NULL",
        ([key[0] for key in keys], [key[1] for key in keys], [key[2] for key in keys], [key[3] for key in keys]),
    )
    return {(row[0], row[1], row[2]) for row in await cursor.fetchall()}


def _chain(first: Sequence[str], rest: Iterator[str]) -> Iterator[str]:
    yield from first
    yield from rest


async def _insert(conn: Connection, chosen: dict[tuple[str, str, str], Want]) -> set[tuple[str, str, str]]:
    rows = sorted(chosen.items(), key=lambda item: item[0])
    cursor = await conn.execute(
        "INSERT INTO name_reservation (scope, kind, value, organisation, person, stem, digest)"
        " SELECT scope, kind, value, organisation, person, stem, nullif(digest, '')"
        " FROM unnest(%b::text[], %b::text[], %b::text[], %b::text[], %b::uuid[], %b::text[], %b::bytea[])"
        " AS n (scope, kind, value, organisation, person, stem, digest)"
        " ON CONFLICT DO NOTHING RETURNING scope, kind, value",
        (
            [key[0] for key, _ in rows],
            [key[1] for key, _ in rows],
            [key[2] for key, _ in rows],
            [want.organisation for _, want in rows],
            [want.person for _, want in rows],
            [want.stem for _, want in rows],
            [want.digest(key[2]) for key, want in rows],
        ),
    )
    return {(row[0], row[1], row[2]) for row in await cursor.fetchall()}


def _reservation(want: Want, key: tuple[str, str, str]) -> Reservation:
    return Reservation(want.organisation, want.person, want.scope, want.kind, key[2], want.stem)
