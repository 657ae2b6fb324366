"""Accepting commands once, and the inbox that a rebuild clears."""

from typing import cast
from uuid import UUID

from psycopg.rows import TupleRow

from services.kernel.database import Connection


async def accept(conn: Connection, command_id: UUID, organisation: str, digest: str) -> str | None:
    """Remember a command's id; return None when it is new, else the digest it was accepted with.

    An id of another organisation answers with an empty digest, which no command has.
    """
    cursor = await conn.execute(
        "INSERT INTO command (id, organisation, digest, accepted_at) VALUES (%s, %s, %s, now())"
        " ON CONFLICT (id) DO NOTHING RETURNING id",
        (command_id, organisation, digest),
    )
    if await cursor.fetchone() is not None:
        return None
    cursor = await conn.execute("SELECT organisation, digest FROM command WHERE id = %s", (command_id,))
    known = cast("TupleRow", await cursor.fetchone())
    return str(known[1]) if known[0] == organisation else ""


async def forget_inbox(conn: Connection) -> None:
    """Let every message in once more: all handlers are safe to replay (DESIGN 2.2, a rebuild clears its inbox)."""
    await conn.execute("DELETE FROM inbox")
