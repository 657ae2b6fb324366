"""The outbox: what a service says, written in the transaction that made it true."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID, uuid4

from psycopg import sql

from contracts.base import Message
from contracts.codes import Lane
from contracts.envelope import CloudEvent
from contracts.registry import INTERNAL, routing_key
from services.kernel.database import Connection, recordset
from services.kernel.messaging import topology
from services.kernel.messaging.dead import Delivery

LANES = {Lane.EXPRESS: 0, Lane.BULK: 1}
"""Lanes in the order in which they are served."""


@dataclass(frozen=True)
class Outgoing:
    """One message to publish. `service` is the receiver of a command; `replay_to` sends it to one consumer only.

    The body of a `confidential` message is emptied when the broker has confirmed it.
    """

    event: CloudEvent[Any]
    lane: Lane = Lane.BULK
    service: str | None = None
    confidential: bool = False
    replay_to: str | None = None

    @property
    def wanted(self) -> bool:
        """Whether anybody consumes its topic."""
        topic = INTERNAL[self.event.type].topic
        return topic == "command" or topic in topology.CONSUMED

    @property
    def routing_key(self) -> str:
        """`<lane>.<topic>`, `command.<service>` or `replay.<consumer>.<topic>`."""
        key = routing_key(self.event.type, self.lane, service=self.service)
        if self.replay_to is not None:
            return f"replay.{self.replay_to}.{key.partition('.')[2]}"
        return key


def make(
    type_: str,
    data: Message,
    *,
    source: str,
    subject: str,
    organisation: str,
    time: datetime,
    event_id: UUID | None = None,
    traceparent: str | None = None,
) -> CloudEvent[Any]:
    """Return an event that says `data`; `time` is when the producer recorded it (UTC)."""
    return CloudEvent[Any].model_construct(
        specversion="1.0",
        id=event_id or uuid4(),
        source=source,
        type=type_,
        subject=subject,
        time=time,
        datacontenttype="application/json",
        organisation=organisation,
        traceparent=traceparent,
        data=data,
    )


def body(event: CloudEvent[Any]) -> str:
    """Return the event in structured JSON mode."""
    return event.model_dump_json(by_alias=True, exclude_none=False, serialize_as_any=True)


async def append(conn: Connection, messages: Sequence[Outgoing]) -> None:
    """Add messages to the outbox in the caller's transaction, in one round.

    What no service subscribes to is not published: confidential data would end among the unrouted. Whoever subscribes
    later gets it by replay, from the stored versions.
    """
    messages = [message for message in messages if message.wanted]
    if not messages:
        return
    await conn.execute(
        "INSERT INTO outbox"
        " (lane, message_id, type, routing_key, organisation, subject, traceparent, confidential, body)"
        " SELECT * FROM json_to_recordset(%s::json) AS n (lane smallint, message_id uuid, type text, routing_key text,"
        " organisation text, subject text, traceparent text, confidential boolean, body text)",
        (
            recordset(
                {
                    "lane": LANES[message.lane],
                    "message_id": message.event.id,
                    "type": message.event.type,
                    "routing_key": message.routing_key,
                    "organisation": message.event.organisation,
                    "subject": message.event.subject,
                    "traceparent": message.event.traceparent,
                    "confidential": message.confidential,
                    "body": body(message.event),
                }
                for message in messages
            ),
        ),
    )


async def append_raw(conn: Connection, delivery: Delivery) -> None:
    """Publish an unrouted message once more, as it was: the queue that was missing may stand now."""
    await conn.execute(
        "INSERT INTO outbox (lane, message_id, type, routing_key, organisation, subject, traceparent, body)"
        " VALUES (1, %s, %s, %s, %s, '', %s, %s)",
        (
            _uuid(delivery.message_id),
            delivery.type or "",
            delivery.routing_key,
            str(delivery.headers.get("organisation", "")),
            delivery.headers.get("traceparent"),
            delivery.body.decode(errors="replace").replace("\0", "\ufffd"),
        ),
    )


def _uuid(text: str | None) -> UUID:
    try:
        return UUID(text or "")
    except ValueError:
        return uuid4()


@dataclass(frozen=True)
class OutboxRow:
    """A row that waits to be published."""

    seq: int
    created_at: datetime
    message_id: UUID
    type: str
    routing_key: str
    organisation: str
    traceparent: str | None
    lane: int
    body: str


async def unpublished(conn: Connection, lane: Lane, limit: int) -> list[OutboxRow]:
    """Return a lane's next rows to publish; relies on the index outbox_unpublished."""
    cursor = await conn.execute(
        "SELECT seq, created_at, message_id, type, routing_key, organisation, traceparent, lane, body FROM outbox"
        " WHERE published_at IS NULL AND lane = %s AND (retry_at IS NULL OR retry_at <= now()) ORDER BY seq LIMIT %s",
        (LANES[lane], limit),
    )
    return [OutboxRow(*row) for row in await cursor.fetchall()]


async def mark_published(conn: Connection, rows: Sequence[OutboxRow]) -> None:
    """Mark confirmed rows; a confidential body is emptied, it is replayed from the stored versions."""
    await conn.execute(
        "UPDATE outbox o SET published_at = now(), body = CASE WHEN confidential THEN '' ELSE body END"
        " FROM unnest(%b::bigint[], %b::timestamptz[]) AS r (seq, created_at)"
        " WHERE o.seq = r.seq AND o.created_at = r.created_at",
        ([row.seq for row in rows], [row.created_at for row in rows]),
    )


async def postpone(conn: Connection, rows: Sequence[OutboxRow]) -> None:
    """Put rows that the broker refused aside for a while, so that they hold nothing up."""
    await conn.execute(
        "UPDATE outbox o SET attempts = least(attempts + 1, 100),"
        " retry_at = now() + least(2 ^ least(attempts, 9), 300) * interval '1 second'"
        " FROM unnest(%b::bigint[], %b::timestamptz[]) AS r (seq, created_at)"
        " WHERE o.seq = r.seq AND o.created_at = r.created_at",
        ([row.seq for row in rows], [row.created_at for row in rows]),
    )


async def erase(conn: Connection, organisation: str, subject: str, types: Sequence[str]) -> int:
    """Forget what was published of a subject; return how many rows. What waits to be published stays.

    It reads all that is retained, for an index would cost every message something: for the rest of the transaction a
    statement may take minutes.
    """
    await conn.execute("SET LOCAL statement_timeout = '10min'")
    cursor = await conn.execute(
        "DELETE FROM outbox WHERE organisation = %s AND subject = %s AND type = ANY(%s) AND published_at IS NOT NULL",
        (organisation, subject, list(types)),
    )
    return cursor.rowcount


async def ensure_partitions(conn: Connection) -> None:
    """Make the partitions of this month and the next two; retention drops the old ones."""
    await conn.execute("SELECT pg_advisory_xact_lock(hashtext(current_schema() || '.outbox'))")
    await conn.execute(
        """
        DO $$
        DECLARE first date;
        BEGIN
          FOR n IN 0..2 LOOP
            first := date_trunc('month', now() + n * interval '1 month')::date;
            IF to_regclass('outbox_' || to_char(first, 'YYYY_MM')) IS NULL THEN
              EXECUTE format('CREATE TABLE %I PARTITION OF outbox FOR VALUES FROM (%L) TO (%L)',
                'outbox_' || to_char(first, 'YYYY_MM'), first, first + interval '1 month');
            END IF;
          END LOOP;
        END $$
        """
    )


async def forget(conn: Connection, days: int, after: str, limit: int) -> tuple[int, str | None]:
    """Forget the next month after partition `after` that has been over for `days`; rows are never added to it.

    The partition is dropped. While a row in it waits to be published that one stays, and what was confirmed beside it
    goes, `limit` rows at a time; so goes what no partition was there for.

    Returns:
        How many rows, and the name to begin after the next time; None when there is no more.
    """
    cursor = await conn.execute(
        "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
        " WHERE i.inhparent = 'outbox'::regclass AND c.relname ~ '^outbox_[0-9]{4}_[0-9]{2}$' AND c.relname > %s"
        " AND to_date(right(c.relname, 7), 'YYYY_MM') + interval '1 month' < now() - %s * interval '1 day'"
        " ORDER BY c.relname LIMIT 1",
        (after, days),
    )
    found = await cursor.fetchone()
    if found is None:
        gone = await _forget_confirmed(conn, "outbox_rest", days, limit)
        return gone, after if gone == limit else None
    partition = sql.Identifier(found[0])
    counting = sql.SQL("SELECT count(*), count(*) FILTER (WHERE published_at IS NULL) FROM {}").format(partition)
    total, waiting = cast("tuple[int, int]", await (await conn.execute(counting)).fetchone())
    if not waiting:
        await conn.execute(sql.SQL("DROP TABLE {}").format(partition))
        return total, found[0]
    gone = await _forget_confirmed(conn, found[0], days, limit)
    return gone, after if gone == limit else found[0]


async def _forget_confirmed(conn: Connection, partition: str, days: int, limit: int) -> int:
    cursor = await conn.execute(
        sql.SQL(
            "DELETE FROM {0} WHERE seq IN (SELECT seq FROM {0} WHERE published_at IS NOT NULL"
            " AND created_at < now() - %s * interval '1 day' ORDER BY seq LIMIT %s)"
        ).format(sql.Identifier(partition)),
        (days, limit),
    )
    return cursor.rowcount


async def backlog(conn: Connection) -> int:
    """Return how many rows wait to be published."""
    cursor = await conn.execute("SELECT count(*) FROM outbox WHERE published_at IS NULL")
    return int(cast("tuple[int]", await cursor.fetchone())[0])
