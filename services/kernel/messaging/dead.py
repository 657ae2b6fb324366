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
    """The table `inbox_dead` of a service; `kernel.dead_letter` says how many nobody has asked for yet."""

    def __init__(self, service: str, key: str) -> None:
        self._service = service
        self._fernet = Fernet(key.encode())

    async def bury(self, conn: Connection, delivery: Delivery, cause: str) -> None:
        """Keep a delivery with the reason why it could not be taken in."""
        await conn.execute(
            "WITH kept AS (INSERT INTO inbox_dead"
            " (id, organisation, queue, message_id, type, routing_key, cause, headers, body)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING id, organisation)"
            " INSERT INTO kernel.dead_letter (service, id, organisation) SELECT %s, id, organisation FROM kept",
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
                self._service,
            ),
        )

    async def count(self, conn: Connection) -> None:
        """Put `kernel.dead_letter` right: an older version kept letters without it, and what expires is gone."""
        await conn.execute(
            "WITH gone AS (DELETE FROM kernel.dead_letter k WHERE k.service = %(service)s"
            " AND NOT EXISTS (SELECT FROM inbox_dead d WHERE d.id = k.id))"
            " INSERT INTO kernel.dead_letter (service, id, organisation) SELECT %(service)s, id, organisation"
            " FROM inbox_dead WHERE redelivered_at IS NULL AND redeliver_at IS NULL ON CONFLICT DO NOTHING",
            {"service": self._service},
        )

    async def ask(self, conn: Connection, organisation: str, letter: UUID | None) -> int:
        """Mark an organisation's letters, those of none, or one of them, to be taken in once more; return how many."""
        cursor = await conn.execute(
            "WITH asked AS (UPDATE inbox_dead SET redeliver_at = now() WHERE id IN (SELECT id FROM inbox_dead"
            " WHERE redelivered_at IS NULL AND redeliver_at IS NULL AND (%(letter)s::uuid IS NULL OR id = %(letter)s)"
            " AND (organisation IS NULL OR organisation = %(organisation)s) ORDER BY id FOR UPDATE) RETURNING id),"
            " counted AS (DELETE FROM kernel.dead_letter k USING asked WHERE k.service = %(service)s"
            " AND k.id = asked.id) SELECT count(*) FROM asked",
            {"letter": letter, "organisation": organisation, "service": self._service},
        )
        row = await cursor.fetchone()
        return int(row[0]) if row else 0

    async def exhume(self, conn: Connection) -> tuple[UUID, Delivery | None] | None:
        """Claim the oldest letter that somebody asked for, for a minute; None when there is none.

        No lock outlives the transaction. Without its delivery a letter cannot be decrypted: the key is another.
        """
        cursor = await conn.execute(
            "UPDATE inbox_dead SET redeliver_at = now() + interval '1 minute' WHERE id = (SELECT id FROM inbox_dead"
            " WHERE redeliver_at <= now() AND redelivered_at IS NULL ORDER BY redeliver_at, received_at, id LIMIT 1"
            " FOR UPDATE SKIP LOCKED) RETURNING id, queue, message_id, type, routing_key, headers, body"
        )
        row = await cursor.fetchone()
        if row is None:
            return None
        try:
            headers, body = self._fernet.decrypt(row[5]), self._fernet.decrypt(row[6])
        except InvalidToken:
            return row[0], None
        return row[0], Delivery(row[1], row[2], row[3], row[4], orjson.loads(headers), body)

    async def redelivered(self, conn: Connection, letter: UUID) -> None:
        """Say that a letter was taken through intake once more; a new failure has made a new one."""
        await conn.execute("UPDATE inbox_dead SET redelivered_at = now() WHERE id = %s", (letter,))

    async def put_back(self, conn: Connection, letter: UUID) -> None:
        """Say that a letter cannot be taken in; it is kept as if nobody had asked."""
        await conn.execute(
            "WITH kept AS (UPDATE inbox_dead SET redeliver_at = NULL WHERE id = %s RETURNING id, organisation)"
            " INSERT INTO kernel.dead_letter (service, id, organisation) SELECT %s, id, organisation FROM kept"
            " ON CONFLICT DO NOTHING",
            (letter, self._service),
        )


def _storable(text: object) -> str | None:
    """What PostgreSQL can store of a header that anybody may have set: no U+0000, not endless."""
    return None if text is None else str(text).replace("\0", "\ufffd")[:1000]
