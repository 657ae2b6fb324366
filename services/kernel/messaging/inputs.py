"""The newest of each input that a service has seen; older ones are ignored and counted."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.kernel import telemetry
from services.kernel.database import Connection

log = telemetry.get_logger(__name__)


@dataclass(frozen=True)
class Input:
    """One input: versions compare as (generation, version); `body` is the event's data as JSON."""

    kind: str
    organisation: str
    subject: str
    generation: int
    version: int
    body: bytes


async def store(conn: Connection, inputs: Sequence[Input]) -> set[tuple[str, str, str]]:
    """Store what is newer than what is known; return (kind, organisation, subject) of it.

    Safe to replay and in any order. Keys are locked in order, so that two batches cannot deadlock.
    """
    newest: dict[tuple[str, str, str], Input] = {}
    for item in inputs:
        key = (item.kind, item.organisation, item.subject)
        known = newest.get(key)
        if known is None or (item.generation, item.version) > (known.generation, known.version):
            newest[key] = item
    if not newest:
        return set()
    rows = [newest[key] for key in sorted(newest)]
    cursor = await conn.execute(
        "INSERT INTO input (kind, organisation, subject, generation, version, body)"
        " SELECT * FROM unnest(%b::text[], %b::text[], %b::text[], %b::int[], %b::bigint[], %b::text[])"
        " ON CONFLICT (kind, organisation, subject) DO UPDATE SET generation = excluded.generation,"
        " version = excluded.version, body = excluded.body, stored_at = now()"
        " WHERE (excluded.generation, excluded.version) > (input.generation, input.version)"
        " RETURNING kind, organisation, subject",
        (
            [row.kind for row in rows],
            [row.organisation for row in rows],
            [row.subject for row in rows],
            [row.generation for row in rows],
            [row.version for row in rows],
            [row.body.decode() for row in rows],
        ),
    )
    changed = {(row[0], row[1], row[2]) for row in await cursor.fetchall()}
    if len(inputs) > len(changed):
        log.info("input.superseded", count=len(inputs) - len(changed))
    return changed


async def page(conn: Connection, kind: str, organisation: str, *, after: str, limit: int) -> list[tuple[str, bytes]]:
    """Return (subject, body) of an organisation's newest inputs of a kind, by subject, after `after`."""
    cursor = await conn.execute(
        "SELECT subject, body FROM input WHERE kind = %s AND organisation = %s AND subject > %s"
        " ORDER BY subject LIMIT %s",
        (kind, organisation, after, limit),
    )
    return [(row[0], row[1].encode()) for row in await cursor.fetchall()]


async def subjects(conn: Connection, kind: str, organisation: str, *, after: str, limit: int) -> list[str]:
    """Return the subjects of an organisation's inputs of a kind, in order, after `after`."""
    cursor = await conn.execute(
        "SELECT subject FROM input WHERE kind = %s AND organisation = %s AND subject > %s ORDER BY subject LIMIT %s",
        (kind, organisation, after, limit),
    )
    return [row[0] for row in await cursor.fetchall()]


async def load(conn: Connection, kind: str, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], bytes]:
    """Return the newest input of `kind` by (organisation, subject), in one round."""
    cursor = await conn.execute(
        "SELECT i.organisation, i.subject, i.body FROM input i"
        " JOIN unnest(%b::text[], %b::text[]) AS k (organisation, subject)"
        " ON i.organisation = k.organisation AND i.subject = k.subject WHERE i.kind = %s",
        ([key[0] for key in keys], [key[1] for key in keys], kind),
    )
    return {(row[0], row[1]): row[2].encode() for row in await cursor.fetchall()}
