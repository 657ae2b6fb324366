"""Units as orgtree told last what is in effect: where people who name one are, and who leads them."""

from collections.abc import Collection, Mapping, Sequence

from pydantic import ValidationError

from contracts.organisation import UnitChanged
from services.accounts.domain.units import Unit
from services.kernel import telemetry
from services.kernel.database import Connection
from services.kernel.messaging import inputs

log = telemetry.get_logger(__name__)

KIND = "effective"
Key = tuple[str, str]
"""Organisation and unit."""


async def load(conn: Connection, keys: Collection[Key]) -> dict[Key, Unit]:
    """Return units by what people's records name: the one in effect, after a merge; by primary key."""
    told = await _told(conn, sorted(keys))
    over = {key: (key[0], one.moved) for key, one in told.items() if one.record is None and one.moved is not None}
    told_there = await _told(conn, sorted(set(over.values()) - told.keys())) if over else {}
    everything = {**told, **told_there}
    return {key: Unit.of(everything.get(over.get(key, key), one)) for key, one in told.items()}


async def with_merged(conn: Connection, keys: Collection[Key]) -> list[Key]:
    """Return these units, and those that they took over: whose people are in them."""
    cursor = await conn.execute(
        "SELECT i.organisation, i.subject FROM input i JOIN unnest(%b::text[], %b::text[]) AS k (organisation, unit)"
        " ON i.organisation = k.organisation AND i.body::json ->> 'moved' = k.unit WHERE i.kind = %s",
        ([key[0] for key in keys], [key[1] for key in keys], KIND),
    )
    return sorted({*keys, *((row[0], row[1]) for row in await cursor.fetchall())})


async def _told(conn: Connection, keys: Sequence[Key]) -> Mapping[Key, UnitChanged]:
    if not keys:
        return {}
    bodies = await inputs.load(conn, KIND, keys)
    return {key: found for key, body in bodies.items() if (found := read(body)) is not None}


def read(body: bytes | None) -> UnitChanged | None:
    """Return what was told; what cannot be read counts as not told yet."""
    try:
        return None if body is None else UnitChanged.model_validate_json(body, extra="ignore")
    except ValidationError:
        log.exception("unit.record_unusable")
        return None
