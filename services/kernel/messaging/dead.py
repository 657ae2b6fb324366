"""Dead letters: bytes and headers of what could not be taken in, encrypted, expiring, replayable."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import orjson
from cryptography.fernet import Fernet, InvalidToken

from services.kernel.database import Connection
from services.kernel.messaging import topology

COMMAND_PREFIX = "se.stafett.command."


@dataclass(frozen=True)
class Delivery:
    """What came from a queue, before it is understood."""

    queue: str
    message_id: str | None
    type: str | None
    routing_key: str
    headers: Mapping[str, Any]
    body: bytes

    def home(self, service: str) -> str | None:
        """Return the queue whose intake should take it in once more; None for the exchange it never left."""
        if self.queue == topology.UNROUTED:
            return None
        if self.queue == f"{service}.dead":
            return f"{service}.commands" if (self.type or "").startswith(COMMAND_PREFIX) else f"{service}.bulk"
        return self.queue


class DeadLetters:
    """The table `inbox_dead` of a service."""

    def __init__(self, key: str) -> None:
        self._fernet = Fernet(key.encode())

    async def bury(self, conn: Connection, delivery: Delivery, cause: str) -> None:
        """Keep a delivery with the reason why it could not be taken in."""
        await conn.execute(
            "INSERT INTO inbox_dead (id, organisation, queue, message_id, type, routing_key, cause, headers, body)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
            (
                uuid4(),
                _storable(delivery.headers.get("organisation")),
                delivery.queue,
                _storable(delivery.message_id),
                _storable(delivery.type),
                _storable(delivery.routing_key),
                _storable(cause),
                self._fernet.encrypt(orjson.dumps(dict(delivery.headers), default=str)),
                self._fernet.encrypt(delivery.body),
            ),
        )

    async def exhume(
        self, conn: Connection, organisation: str, message: UUID | None, limit: int
    ) -> list[tuple[UUID, Delivery]]:
        """Return kept deliveries of an organisation, or of none, that were not redelivered yet, oldest first."""
        cursor = await conn.execute(
            "SELECT id, queue, message_id, type, routing_key, headers, body FROM inbox_dead"
            " WHERE redelivered_at IS NULL AND (%(one)s::uuid IS NULL OR id = %(one)s)"
            " AND (organisation IS NULL OR organisation = %(organisation)s) ORDER BY received_at LIMIT %(limit)s",
            {"one": message, "organisation": organisation, "limit": limit},
        )
        found = []
        for row in await cursor.fetchall():
            try:
                headers, body = self._fernet.decrypt(row[5]), self._fernet.decrypt(row[6])
            except InvalidToken:
                continue
            found.append((row[0], Delivery(row[1], row[2], row[3], row[4], orjson.loads(headers), body)))
        return found

    async def mark_redelivered(self, conn: Connection, letter: UUID) -> None:
        """Mark a kept delivery as taken through intake once more; a new failure makes a new row."""
        await conn.execute("UPDATE inbox_dead SET redelivered_at = now() WHERE id = %s", (letter,))


def _storable(text: object) -> str | None:
    """What PostgreSQL can store of a header that anybody may have set: no U+0000, not endless."""
    return None if text is None else str(text).replace("\0", "\ufffd")[:1000]
