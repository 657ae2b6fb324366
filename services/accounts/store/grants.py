"""Which groups and licences are ours: written before they are given, so that a crash does not make them another's."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from uuid import UUID

import orjson

from services.accounts.domain.drift import Kind
from services.accounts.domain.grants import Grant, GrantKind
from services.kernel.clock import BUSINESS_NOW
from services.kernel.database import Connection

Key = tuple[str, UUID]
Owned = Mapping[Grant, bool]
"""What we gave, or are about to give; true when it was seen to be there."""


@dataclass(frozen=True)
class Taken:
    """What another hand took from an account that was ours and is wanted.

    `absent`: there is no account any more. `hidden`: the person is protected.
    """

    grants: Set[Grant] = frozenset()
    absent: bool = False
    hidden: bool = False

    def detail(self, grant: Grant) -> str:
        """Return as JSON what a finding shows."""
        return orjson.dumps({} if self.hidden else {"wanted": [grant.value], "observed": []}).decode()


async def load(conn: Connection, target: str, keys: Sequence[Key]) -> Mapping[Key, Owned]:
    """Return what we gave many people in a target, in one round; by primary key."""
    cursor = await conn.execute(
        "SELECT g.organisation, g.person, g.kind, g.value, g.confirmed FROM granted g"
        " JOIN unnest(%b::text[], %b::uuid[]) AS k (organisation, person) USING (organisation, person)"
        " WHERE g.target = %s",
        ([key[0] for key in keys], [key[1] for key in keys], target),
    )
    found: dict[Key, dict[Grant, bool]] = defaultdict(dict)
    for row in await cursor.fetchall():
        found[row[0], row[1]][Grant(GrantKind(row[2]), row[3])] = row[4]
    return found


async def own(conn: Connection, key: Key, target: str, grants: Iterable[Grant]) -> None:
    """Say that we are about to give these. Safe to repeat."""
    await conn.execute(
        "INSERT INTO granted (organisation, person, target, kind, value, granted_at)"
        f" SELECT %s, %s, %s, kind, value, {BUSINESS_NOW}"
        " FROM unnest(%s::text[], %s::text[]) AS g (kind, value) ORDER BY kind, value ON CONFLICT DO NOTHING",
        (*key, target, *_columns(grants)),
    )


async def give_anew(conn: Connection, key: Key, target: str) -> Owned:
    """Let an account that is about to be made be given what its predecessor had; return what is ours.

    What another hand had taken from that one stays taken: by the finding that is open of it.
    """
    await conn.execute(
        "UPDATE granted g SET confirmed = false WHERE (organisation, person, target) = (%s, %s, %s) AND confirmed"
        " AND NOT EXISTS (SELECT FROM finding f WHERE (f.organisation, f.person, f.target) = (%s, %s, %s)"
        " AND f.kind = %s AND f.closed_at IS NULL AND f.attribute = g.kind || ':' || g.value)",
        (*key, target, *key, target, Kind.GRANT_TAKEN.value),
    )
    return (await load(conn, target, [key])).get(key, {})


async def settle(
    conn: Connection, target: str, given: Mapping[Key, Iterable[Grant]], gone: Mapping[Key, Iterable[Grant]]
) -> None:
    """Confirm what was seen to be there and forget what is not ours any more, of many people in two rounds."""
    for grants, statement in (
        (given, "UPDATE granted g SET confirmed = true FROM"),
        (gone, "DELETE FROM granted g USING"),
    ):
        rows = [(*key, grant) for key, found in sorted(grants.items()) for grant in sorted(found)]
        if rows:
            await conn.execute(
                f"{statement} unnest(%b::text[], %b::uuid[], %b::text[], %b::text[])"
                " AS k (organisation, person, kind, value) WHERE g.target = %s"
                " AND (g.organisation, g.person, g.kind, g.value) = (k.organisation, k.person, k.kind, k.value)",
                (
                    [row[0] for row in rows],
                    [row[1] for row in rows],
                    [row[2].kind.value for row in rows],
                    [row[2].value for row in rows],
                    target,
                ),
            )


async def give_again(conn: Connection, organisation: str, target: str, taken: Sequence[tuple[UUID, str]]) -> None:
    """Let what another hand has taken (person, label) be given anew by the next pass: a person decided so."""
    persons, labels = [person for person, _ in taken], [label for _, label in taken]
    pairs = " unnest(%b::uuid[], %b::text[]) AS t (person, label)"
    await conn.execute(
        f"UPDATE granted g SET confirmed = false FROM {pairs}"
        " WHERE g.organisation = %s AND g.target = %s AND g.person = t.person AND g.kind || ':' || g.value = t.label",
        (persons, labels, organisation, target),
    )
    await conn.execute(
        f"DELETE FROM decided d USING {pairs}"
        " WHERE d.organisation = %s AND d.target = %s AND (d.person, d.attribute) = (t.person, t.label)",
        (persons, labels, organisation, target),
    )


async def report(conn: Connection, target: str, found: Mapping[Key, Taken]) -> None:
    """Keep as findings what another hand took from many people, and close those that hold no more.

    One that a person has left stays open, so that it is seen and can be taken back, until there is no account.
    By the index finding_person.
    """
    if not found:
        return
    keys = sorted(found)
    rows = [(*key, found[key], grant) for key in keys for grant in sorted(found[key].grants)]
    await conn.execute(
        "UPDATE finding f SET closed_at = now()"
        " FROM unnest(%b::text[], %b::uuid[], %b::boolean[]) AS k (organisation, person, gone)"
        " WHERE (f.organisation, f.person) = (k.organisation, k.person) AND f.target = %s AND f.kind = %s"
        " AND f.closed_at IS NULL AND (k.gone OR f.decision IS DISTINCT FROM 'accept') AND NOT EXISTS (SELECT FROM"
        " unnest(%b::text[], %b::uuid[], %b::text[]) AS t (organisation, person, label)"
        " WHERE (t.organisation, t.person, t.label) = (f.organisation, f.person, f.attribute))",
        (
            [key[0] for key in keys],
            [key[1] for key in keys],
            [found[key].absent for key in keys],
            target,
            Kind.GRANT_TAKEN.value,
            [row[0] for row in rows],
            [row[1] for row in rows],
            [row[3].label for row in rows],
        ),
    )
    if not rows:
        return
    await conn.execute(
        "INSERT INTO finding (organisation, target, run, kind, about, person, attribute, digest, detail)"
        " SELECT organisation, %s, %s, %s, person::text, person, label, '', detail"
        " FROM unnest(%b::text[], %b::uuid[], %b::text[], %b::jsonb[]) AS t (organisation, person, label, detail)"
        " ON CONFLICT (organisation, target, kind, about, attribute) WHERE closed_at IS NULL DO UPDATE SET"
        " last_seen = now(), detail = excluded.detail",
        (
            target,
            UUID(int=0),
            Kind.GRANT_TAKEN.value,
            [row[0] for row in rows],
            [row[1] for row in rows],
            [row[3].label for row in rows],
            [row[2].detail(row[3]) for row in rows],
        ),
    )


def _columns(grants: Iterable[Grant]) -> tuple[list[str], list[str]]:
    given = sorted(grants)
    return [grant.kind.value for grant in given], [grant.value for grant in given]
