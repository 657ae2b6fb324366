"""Which groups and licences are ours: written before they are given, so that a crash does not make them another's."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from services.accounts.domain.grants import Grant, GrantKind
from services.kernel.clock import BUSINESS_NOW
from services.kernel.database import Connection

Key = tuple[str, UUID]
Owned = Mapping[Grant, bool]
"""What we gave, or are about to give; true when it was seen to be there."""


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


async def give_again(conn: Connection, key: Key, target: str) -> None:
    """Let what another hand has taken be given anew: a person decided so."""
    await conn.execute(
        "UPDATE granted SET confirmed = false WHERE (organisation, person) = (%s, %s) AND target = %s", (*key, target)
    )


def _columns(grants: Iterable[Grant]) -> tuple[list[str], list[str]]:
    given = sorted(grants)
    return [grant.kind.value for grant in given], [grant.value for grant in given]
