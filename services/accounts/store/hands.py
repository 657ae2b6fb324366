"""What people decided of other hands' changes, and what was written too often."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.accounts.domain.other_hand import Decided, Verdict
from services.kernel import telemetry
from services.kernel.database import Connection
from services.kernel.metrics import instruments

log = telemetry.get_logger(__name__)

Key = tuple[str, UUID]
LOOP_HOURS = 24


@dataclass(frozen=True)
class Told:
    """What a pass that was claimed `at` tells of other hands.

    `carried`: decisions that it carried out. `rewritten`: what it wrote that had been written before.
    """

    organisation: str
    person: UUID
    target: str
    carried: tuple[str, ...]
    rewritten: Mapping[str, str]
    at: datetime


async def load(
    conn: Connection, target: str, keys: Sequence[Key], *, loop: int
) -> tuple[Mapping[Key, Mapping[str, Decided]], Mapping[Key, Mapping[str, str]]]:
    """Return decisions, and what was written `loop` times or more, of many people in one round; by primary keys."""
    cursor = await conn.execute(
        "WITH k (organisation, person) AS MATERIALIZED (SELECT * FROM unnest(%b::text[], %b::uuid[]))"
        " SELECT organisation, person, attribute, verdict, digest FROM k JOIN decided USING (organisation, person)"
        " WHERE target = %s UNION ALL SELECT organisation, person, attribute, NULL, digest FROM k"
        " JOIN rewrite USING (organisation, person) WHERE target = %s AND times >= %s",
        ([key[0] for key in keys], [key[1] for key in keys], target, target, loop),
    )
    decided: dict[Key, dict[str, Decided]] = defaultdict(dict)
    looping: dict[Key, dict[str, str]] = defaultdict(dict)
    for organisation, person, attribute, verdict, digest in await cursor.fetchall():
        if verdict is None:
            looping[organisation, person][attribute] = digest
        else:
            decided[organisation, person][attribute] = Decided(Verdict(verdict), digest)
    return decided, looping


async def decide(
    conn: Connection,
    organisation: str,
    target: str,
    decided: Mapping[tuple[UUID, str], Decided],
    *,
    actor: str,
    reason: str,
) -> None:
    """Keep the newest word on attributes (person, attribute); a loop that somebody has looked at counts anew."""
    keys = sorted(decided)
    persons, attributes = [key[0] for key in keys], [key[1] for key in keys]
    await conn.execute(
        "DELETE FROM rewrite r USING unnest(%b::uuid[], %b::text[]) AS d (person, attribute)"
        " WHERE r.organisation = %s AND r.target = %s AND (r.person, r.attribute) = (d.person, d.attribute)",
        (persons, attributes, organisation, target),
    )
    await conn.execute(
        "INSERT INTO decided (organisation, target, actor, reason, person, attribute, verdict, digest)"
        " SELECT %s, %s, %s, %s, * FROM unnest(%b::uuid[], %b::text[], %b::text[], %b::text[])"
        " ON CONFLICT (organisation, person, target, attribute) DO UPDATE SET verdict = excluded.verdict,"
        " digest = excluded.digest, actor = excluded.actor, reason = excluded.reason, decided_at = now()",
        (
            organisation,
            target,
            actor,
            reason,
            persons,
            attributes,
            [decided[key].verdict.value for key in keys],
            [decided[key].digest for key in keys],
        ),
    )


async def settle(conn: Connection, told: Sequence[Told]) -> None:
    """Forget what has been carried out, and count what was written once more."""
    for one in sorted(told, key=lambda one: (one.organisation, one.person, one.target)):
        key = (one.organisation, one.person, one.target)
        if one.carried:
            await conn.execute(
                "DELETE FROM decided WHERE (organisation, person, target) = (%s, %s, %s) AND attribute = ANY(%s)"
                " AND decided_at <= %s",
                (*key, list(one.carried), one.at),
            )
        for attribute, digest in sorted(one.rewritten.items()):
            times = await _count(conn, key, attribute, digest)
            instruments.REWRITTEN.labels(one.target).inc()
            log.warning("account.rewritten", target=one.target, subject=str(one.person), times=times)


async def forget(conn: Connection, organisation: str, person: UUID) -> None:
    """Leave nothing of an erased person."""
    await conn.execute(
        "DELETE FROM takeover_row r USING takeover_plan p WHERE p.id = r.plan AND p.organisation = %s"
        " AND %s = ANY(r.candidates)",
        (organisation, person),
    )
    for table in ("decided", "rewrite", "finding", "adoption"):
        await conn.execute(
            f"DELETE FROM {table} WHERE organisation = %s AND person = %s".encode(), (organisation, person)
        )


async def loops(conn: Connection, *, loop: int) -> Mapping[str, int]:
    """Return how many accounts are in a loop, by target."""
    cursor = await conn.execute(
        "SELECT target, count(DISTINCT (organisation, person)) FROM rewrite WHERE times >= %s GROUP BY 1", (loop,)
    )
    return {row[0]: row[1] for row in await cursor.fetchall()}


async def _count(conn: Connection, key: tuple[str, UUID, str], attribute: str, digest: str) -> int:
    """Count a repetition; the write that is repeated counts too."""
    again = f"r.digest = excluded.digest AND r.since > now() - interval '{LOOP_HOURS} hours'"
    cursor = await conn.execute(
        "INSERT INTO rewrite AS r (organisation, person, target, attribute, digest, times)"
        " VALUES (%s, %s, %s, %s, %s, 2) ON CONFLICT (organisation, person, target, attribute) DO UPDATE SET"
        f" times = CASE WHEN {again} THEN r.times + 1 ELSE 2 END,"
        f" since = CASE WHEN {again} THEN r.since ELSE now() END, digest = excluded.digest RETURNING times",
        (*key, attribute, digest),
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0
