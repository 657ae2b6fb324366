"""The ledger of once-only effects: a contract, a message, an order. Its executor comes with the first order.

The key is the business thing (employment and a hash of its legal particulars), never an event, a revision or a template
version; so the same thing asked for twice, or after a replay, is one effect.
"""

import hashlib
from collections.abc import Mapping

import orjson

from services.kernel.database import Connection


def effect_key(thing: str, particulars: Mapping[str, object]) -> str:
    """Return the key of an effect: the business thing's id and a hash of what makes it that thing."""
    canonical = orjson.dumps(dict(particulars), option=orjson.OPT_SORT_KEYS, default=str)
    return f"{thing}:{hashlib.sha256(canonical).hexdigest()[:32]}"


async def plan(conn: Connection, organisation: str, kind: str, key: str, *, taken_over: bool = False) -> bool:
    """Plan an effect once; return whether it is new. A baseline settles its key as taken over and causes nothing."""
    cursor = await conn.execute(
        "INSERT INTO effect (organisation, kind, key, state) VALUES (%s, %s, %s, %s)"
        " ON CONFLICT (organisation, kind, key) DO NOTHING RETURNING true",
        (organisation, kind, key, "taken_over" if taken_over else "planned"),
    )
    return await cursor.fetchone() is not None
