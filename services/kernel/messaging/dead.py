"""Dead letters: bytes and headers of what could not be taken in, encrypted, expiring, replayable."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import orjson
from cryptography.fernet import Fernet, InvalidToken

from services.kernel.database import Connection


@dataclass(frozen=True)
class Delivery:
    """What came from a queue, before it is understood."""

    queue: str
    message_id: str | None
    type: str | None
    routing_key: str
    headers: Mapping[str, Any]
    body: bytes


class DeadLetters:
    """The table `inbox_dead` of a service."""

    def __init__(self, key: str) -> None:
        self._fernet = Fernet(key.encode())

    async def bury(self, conn: Connection, delivery: Delivery, cause: str) -> None:
        """Keep a delivery with the reason why it could not be taken in."""
        await conn.execute(
            "INSERT INTO inbox_dead (id, queue, message_id, type, routing_key, cause, headers, body)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
            (
                uuid4(),
                delivery.queue,
                delivery.message_id,
                delivery.type,
                delivery.routing_key,
                cause,
                self._fernet.encrypt(orjson.dumps(dict(delivery.headers), default=str)),
                self._fernet.encrypt(delivery.body),
            ),
        )

    async def exhume(self, conn: Connection, message: UUID | None, limit: int) -> list[tuple[UUID, Delivery]]:
        """Return kept deliveries that were not redelivered yet, oldest first; `message` names one."""
        cursor = await conn.execute(
            "SELECT id, queue, message_id, type, routing_key, headers, body FROM inbox_dead"
            " WHERE redelivered_at IS NULL AND (%(one)s::uuid IS NULL OR id = %(one)s)"
            " ORDER BY received_at LIMIT %(limit)s",
            {"one": message, "limit": limit},
        )
        found = []
        for row in await cursor.fetchall():
            try:
                headers, body = self._fernet.decrypt(row[5]), self._fernet.decrypt(row[6])
            except InvalidToken:
                continue
            found.append((row[0], Delivery(row[1], row[2], row[3], row[4], orjson.loads(headers), body)))
        return found

    async def mark_redelivered(self, conn: Connection, ids: list[UUID]) -> None:
        """Mark kept deliveries as taken through intake once more; a new failure makes a new row."""
        await conn.execute("UPDATE inbox_dead SET redelivered_at = now() WHERE id = ANY(%s)", (ids,))
