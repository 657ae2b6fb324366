"""Activation codes as keyed hashes, who uses one now, and how often codes were tried."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg.rows import class_row

from services.accounts.domain.activation import WRONG_TRIES, State
from services.kernel.clock import BUSINESS_NOW
from services.kernel.database import Connection
from services.kernel.retention.classes import INSTALLATION, DataClass, rows

KEPT_DAYS = 90
"""How long it is known that a code was issued and what became of it."""
LIMITS: Mapping[str, int] = {"address": 30, "login": 10, "all": 600}
"""How many failures there may be in `WINDOW`, in the order in which they are counted: who is over a limit costs the
others nothing of theirs."""
WINDOW = "interval '15 minutes'"
_OPEN = "state IN ('issued', 'fetched')"
_COLUMNS = (
    "id, organisation, person, state, way, issued_by, issued_at, fetched_at, expires_at, spent_at, digest, tries, done"
)


@dataclass(frozen=True)
class Activation:
    """One issue of a code. Times are business time. `state` is as it is stored: `state_at` knows of expiry."""

    id: UUID
    organisation: str
    person: UUID
    state: str
    way: str
    issued_by: str
    issued_at: datetime
    fetched_at: datetime | None
    expires_at: datetime
    spent_at: datetime | None
    digest: bytes | None
    tries: int
    done: Sequence[str]

    def state_at(self, now: datetime) -> State:
        """Return how it stands; one that a newer one replaced has expired."""
        if self.state == "void" or (self.state in {"issued", "fetched"} and now >= self.expires_at):
            return State.EXPIRED
        return State(self.state)


async def issue(conn: Connection, one: Activation) -> None:
    """Store a new issue; the one before it is void from now on. One at a time for each person."""
    await conn.execute(
        "SELECT pg_advisory_xact_lock(hashtext('accounts.activation'), hashtext(%s))",
        (f"{one.organisation}/{one.person}",),
    )
    await conn.execute(
        "UPDATE activation SET state = 'void', digest = NULL, over_at = now()"
        f" WHERE organisation = %s AND person = %s AND {_OPEN}",
        (one.organisation, one.person),
    )
    await conn.execute(
        f"INSERT INTO activation ({_COLUMNS}, over_at)"
        f" VALUES ({', '.join(['%s'] * 13)}, now() + (%s - {BUSINESS_NOW}))",
        (
            one.id, one.organisation, one.person, one.state, one.way, one.issued_by, one.issued_at, one.fetched_at,
            one.expires_at, one.spent_at, one.digest, one.tries, list(one.done), one.expires_at,
        ),
    )  # fmt: skip


async def fetch(conn: Connection, organisation: str, person: UUID, digest: bytes) -> Activation | None:
    """Give the open issue that nobody has fetched its code; None when there is none. By activation_open."""
    cursor = conn.cursor(row_factory=class_row(Activation))
    await cursor.execute(
        f"UPDATE activation SET state = 'fetched', fetched_at = {BUSINESS_NOW}, digest = %s"
        f" WHERE organisation = %s AND person = %s AND state = 'issued' AND expires_at > {BUSINESS_NOW}"
        f" RETURNING {_COLUMNS}",
        (digest, organisation, person),
    )
    return await cursor.fetchone()


async def newest(conn: Connection, organisation: str, person: UUID) -> Activation | None:
    """Return a person's newest issue; by activation_person."""
    cursor = conn.cursor(row_factory=class_row(Activation))
    await cursor.execute(
        f"SELECT {_COLUMNS} FROM activation WHERE organisation = %s AND person = %s"
        " ORDER BY issued_at DESC, id LIMIT 1",
        (organisation, person),
    )
    return await cursor.fetchone()


async def named(conn: Connection, name: str) -> list[Activation]:
    """Return the codes that may be used by who has this login or address, locked until the transaction ends.

    Several when naming scopes give the same login. Looks at all open codes, a few thousand at most, whether there is
    such a login or not: it takes as long.
    """
    cursor = conn.cursor(row_factory=class_row(Activation))
    await cursor.execute(
        f"SELECT {_COLUMNS} FROM activation a WHERE state = 'fetched' AND digest IS NOT NULL"
        " AND EXISTS (SELECT FROM account c WHERE c.organisation = a.organisation AND c.person = a.person"
        " AND c.state <> 'absent' AND %(name)s IN (lower(c.user_name), lower(c.mail)))"
        " ORDER BY id FOR UPDATE OF a",
        {"name": name},
    )
    return await cursor.fetchall()


async def wrong(conn: Connection, codes: Iterable[UUID]) -> list[tuple[str, UUID]]:
    """Count a wrong try against codes; return (organisation, person) of those that it locked."""
    cursor = await conn.execute(
        "UPDATE activation SET tries = tries + 1, state = CASE WHEN tries + 1 >= %(most)s THEN 'locked' ELSE state END,"
        " digest = CASE WHEN tries + 1 >= %(most)s THEN NULL ELSE digest END,"
        " over_at = CASE WHEN tries + 1 >= %(most)s THEN now() ELSE over_at END"
        " WHERE id = ANY(%(codes)s) RETURNING organisation, person, state",
        {"most": WRONG_TRIES, "codes": list(codes)},
    )
    return [(row[0], row[1]) for row in await cursor.fetchall() if row[2] == "locked"]


async def claim(conn: Connection, code: UUID, attempt: UUID, seconds: float) -> bool:
    """Let one attempt use a code, for so long; False while another one does. A crash leaves it usable after that."""
    cursor = await conn.execute(
        "UPDATE activation SET attempt = %s, busy_until = now() + %s * interval '1 second'"
        " WHERE id = %s AND state = 'fetched' AND (busy_until IS NULL OR busy_until < now()) RETURNING true",
        (attempt, seconds, code),
    )
    return await cursor.fetchone() is not None


async def settle(conn: Connection, code: UUID, attempt: UUID, done: Iterable[str], *, spent: bool) -> bool:
    """Store in which targets an attempt has set the password, and let the next one in; False when it lost the code."""
    cursor = await conn.execute(
        "UPDATE activation SET attempt = NULL, busy_until = NULL, done = %(done)s,"
        " state = CASE WHEN %(spent)s AND state = 'fetched' THEN 'spent' ELSE state END,"
        " digest = CASE WHEN %(spent)s THEN NULL ELSE digest END,"
        f" spent_at = CASE WHEN %(spent)s THEN {BUSINESS_NOW} ELSE spent_at END,"
        " over_at = CASE WHEN %(spent)s THEN least(over_at, now()) ELSE over_at END"
        " WHERE id = %(code)s AND attempt = %(attempt)s RETURNING true",
        {"code": code, "attempt": attempt, "done": sorted(done), "spent": spent},
    )
    return await cursor.fetchone() is not None


async def expire(conn: Connection, code: UUID) -> None:
    """Make a code useless now: its person has none to come in with."""
    await conn.execute(
        f"UPDATE activation SET expires_at = least(expires_at, {BUSINESS_NOW}), digest = NULL, over_at = now()"
        f" WHERE id = %s AND {_OPEN}",
        (code,),
    )


async def forget(conn: Connection, organisation: str, person: UUID) -> None:
    """Delete all that is known of an erased person's codes. Safe to repeat."""
    await conn.execute("DELETE FROM activation WHERE organisation = %s AND person = %s", (organisation, person))


async def take(conn: Connection, keys: Mapping[str, bytes]) -> int | None:
    """Count an attempt as a failure beforehand; return in how many seconds to come back when there were too many.

    Rows are taken in the order of `LIMITS`, one of each kind: no deadlock.
    """
    for kind, most in LIMITS.items():
        cursor = await conn.execute(
            "INSERT INTO activation_attempt AS a (kind, key) VALUES (%s, %s) ON CONFLICT (kind, key) DO UPDATE SET"
            f" tries = CASE WHEN a.began_at < now() - {WINDOW} THEN 1 ELSE a.tries + 1 END,"
            f" began_at = CASE WHEN a.began_at < now() - {WINDOW} THEN now() ELSE a.began_at END"
            f" RETURNING tries, ceil(extract(epoch FROM began_at + {WINDOW} - now()))::int",
            (kind, keys[kind]),
        )
        row = await cursor.fetchone()
        if row is not None and row[0] > most:
            return max(1, int(row[1]))
    return None


async def give_back(conn: Connection, keys: Mapping[str, bytes]) -> None:
    """Count an attempt no longer: its code was right."""
    for kind in LIMITS:
        await conn.execute(
            "UPDATE activation_attempt SET tries = greatest(tries - 1, 0) WHERE (kind, key) = (%s, %s)",
            (kind, keys[kind]),
        )


def classes(organisations: Iterable[str]) -> list[DataClass]:
    """Return the data classes: codes that are of no use any more, and failures that nobody counts any more."""
    return [
        rows(
            "activations",
            dict.fromkeys(sorted(organisations), KEPT_DAYS),
            table="activation",
            key="id",
            at="over_at",
            owned=True,
        ),
        rows(
            "activation_attempts",
            {INSTALLATION: 1},
            table="activation_attempt",
            key="kind, key",
            at="began_at",
            audited=False,
        ),
    ]
