"""Intake: up to 200 messages or 20 ms in one SQL round, then one ack. It never calls a target.

Dedupe is the table `inbox`; a message that cannot be taken in goes, encrypted, to `inbox_dead` and is acked, so that
nothing crash-loops and nothing is lost. A database that is away stops the consumer until it is back.
"""

import asyncio
import hashlib
import math
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage, AbstractQueue
from opentelemetry.trace import SpanKind
from pydantic import ValidationError

from contracts.codes import Lane
from contracts.envelope import CloudEvent
from contracts.registry import INTERNAL, parse_event
from services.kernel import telemetry
from services.kernel.clock import database_now
from services.kernel.database import TRANSIENT, Connection, Database, is_outage
from services.kernel.messaging import replay, topology
from services.kernel.messaging.broker import (
    ANSWER_SECONDS,
    BROKER_TRANSIENT,
    SYSTEM,
    cancelled,
    connected,
    heed_cancellation,
    pause,
    stands,
)
from services.kernel.messaging.dead import DeadLetters, Delivery
from services.kernel.metrics import instruments

log = telemetry.get_logger(__name__)

BATCH = 200
GATHER_SECONDS = 0.02
PREFETCH = 600
WATCH_SECONDS = 10.0
CONSUME_SECONDS = 5.0
LEADERLESS_AFTER = 3
TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass(frozen=True)
class Incoming:
    """One message that is new to this service; `body` is its structured JSON. `replayed`: told once more, as asked."""

    message_id: UUID
    type: str
    lane: Lane
    event: CloudEvent[Any]
    body: bytes
    received_at: datetime
    replayed: bool = False


Handler = Callable[[Connection, Sequence[Incoming]], Awaitable[None]]
"""Takes the new messages of one topic in; in the transaction that also remembers their ids."""


class Undecodable(Exception):
    """A message that does not follow its contract; the text says which rule."""


def decode(delivery: Delivery, received_at: datetime) -> Incoming:
    """Read a delivery as a consumer.

    Raises:
        Undecodable: Unknown type, no id, not JSON, or not the type's model.
    """
    if delivery.type is None or delivery.type not in INTERNAL:
        raise Undecodable(f"unknown type {delivery.type}")
    try:
        event = parse_event(delivery.type, delivery.body)
    except ValidationError as error:
        where = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['type']}" for item in error.errors()[:5])
        raise Undecodable(where) from error
    except ValueError as error:
        raise Undecodable(type(error).__name__) from error
    lane = Lane.EXPRESS if delivery.headers.get("lane") == Lane.EXPRESS else Lane.BULK
    replayed = delivery.routing_key.startswith("replay.")
    return Incoming(event.id, delivery.type, lane, event, delivery.body, received_at, replayed)


class Intake:
    """Consumes one queue of a service in batches; with `bury_as` all that comes is kept as a dead letter."""

    def __init__(
        self,
        service: str,
        queue: str,
        database: Database,
        broker_url: str,
        handlers: Mapping[str, Handler],
        dead: DeadLetters,
        *,
        on_commit: Callable[[], None],
        crash: Callable[[str], None],
        bury_as: str | None = None,
    ) -> None:
        self._bury_as = bury_as
        self._service = service
        self._queue = queue
        self._database = database
        self._url = broker_url
        self._handlers = handlers
        self._dead = dead
        self._on_commit = on_commit
        self._crash = crash
        self._seen_alive = time.monotonic()
        self._silences = 0
        self.problem: str | None = f"intake {queue}: starting"

    @property
    def stalled(self) -> bool:
        """True when the watchdog has not seen its consumer for a minute although nothing is known to be away."""
        return self.problem is None and time.monotonic() - self._seen_alive > 6 * WATCH_SECONDS

    async def run(self) -> None:
        """Consume until cancelled; broker and database may come and go."""
        while not cancelled():
            try:
                await self._database.wait()
                async with connected(self._url, self._queue) as connection:
                    await self._declare(connection)
                    await self._session(connection)
            except (*BROKER_TRANSIENT, *TRANSIENT) as error:
                self.problem = f"intake {self._queue}: {type(error).__name__}"
                log.warning("intake.interrupted", queue_name=self._queue, cause=type(error).__name__)
                await pause()
            except Exception as error:
                # nothing that one queue can bring may take the service down; the messages are still the broker's
                self.problem = f"intake {self._queue}: {type(error).__name__}"
                log.exception("intake.failed", queue_name=self._queue)
                await pause()

    async def _declare(self, connection: AbstractConnection) -> None:
        """Make the queue stand. One that had to be made again is a loss: every producer is asked for a replay.

        So is one that is bound to something new: what was said of it until now went by. `ready` is false from before
        the declaration until the replay is asked for, so a crash in between asks again.
        """
        there = await stands(connection, self._queue)
        bound = topology.queues(self._service).get(self._queue, ())
        async with self._database.transaction() as conn:
            cursor = await conn.execute(
                "INSERT INTO queue (name, times_created) VALUES (%(name)s, 1) ON CONFLICT (name) DO UPDATE SET"
                " ready = queue.ready AND %(there)s AND queue.bindings @> %(bindings)s::text[], declared_at = now(),"
                " times_created = queue.times_created + CASE WHEN %(there)s THEN 0 ELSE 1 END RETURNING ready",
                {"name": self._queue, "there": there, "bindings": [key for _, key in bound]},
            )
            row = await cursor.fetchone()
        ready = bool(row and row[0])
        async with asyncio.timeout(ANSWER_SECONDS):
            channel = await connection.channel()
            queue = await channel.declare_queue(
                self._queue,
                durable=True,
                arguments=dict(topology.QUEUE_ARGUMENTS),
                passive=self._queue == topology.UNROUTED,
            )
            for exchange, key in bound:
                await queue.bind(exchange, key)
            await channel.close()
        if ready:
            return
        async with self._database.transaction() as conn:
            if self._queue.endswith((".express", ".bulk", ".commands")):
                await replay.request(conn, self._service)
                log.warning("intake.replay_requested", queue_name=self._queue)
            await conn.execute(
                "UPDATE queue SET ready = true, bindings = %s WHERE name = %s", ([key for _, key in bound], self._queue)
            )

    async def _session(self, connection: AbstractConnection) -> None:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=PREFETCH)
        arrived: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()
        queue = await channel.get_queue(self._queue, ensure=False)
        tag = await self._consume(queue, arrived)
        self.problem = None
        self._seen_alive = time.monotonic()
        log.info("intake.started", queue_name=self._queue)
        watch = asyncio.create_task(self._watch(connection, channel))
        try:
            heed_cancellation()
            while True:
                batch = await self._gather(arrived, watch)
                await self._take(batch)
                self._crash("intake.before_ack")
                # one batch in flight and in order: the last tag acks them all
                await batch[-1].ack(multiple=True)
                self._crash("intake.after_ack")
        finally:
            instruments.QUEUE_READY.labels(self._queue).set(math.nan)
            # cancel first: closing a channel whose callbacks still run kills the whole connection (aiormq)
            watch.cancel()
            try:
                async with asyncio.timeout(3):
                    await queue.cancel(tag)
                    await channel.close()
            except BROKER_TRANSIENT:
                pass

    async def _consume(self, queue: AbstractQueue, arrived: asyncio.Queue[AbstractIncomingMessage]) -> str:
        """Start consuming; a quorum queue without a leader never answers, not even after a restart of the broker.

        (Seen on 3.10: killed within seconds of its declaration.) After the third silence it is given up as lost:
        deleted, made again and filled by replay.
        """
        try:
            async with asyncio.timeout(CONSUME_SECONDS):
                tag = await queue.consume(arrived.put)
        except TimeoutError:
            self._silences += 1
            if self._silences >= LEADERLESS_AFTER and not self._bury_as:
                log.error("intake.queue_given_up", queue_name=self._queue)  # noqa: TRY400 - the silence is the fact
                async with self._database.transaction() as conn:
                    await conn.execute("UPDATE queue SET ready = false WHERE name = %s", (self._queue,))
                async with asyncio.timeout(2 * CONSUME_SECONDS):
                    await queue.delete(if_unused=False, if_empty=False)
            raise
        self._silences = 0
        return tag

    async def _watch(self, connection: AbstractConnection, channel: AbstractChannel) -> None:
        """Fail the session when the connection, the channel, the queue or the consumer has vanished."""
        while True:
            await asyncio.sleep(1)
            # a connection whose reader has died still says that it is open; its channels do not
            if channel.is_closed:
                raise ConnectionError("connection or channel closed")
            if time.monotonic() - self._seen_alive >= WATCH_SECONDS:
                async with asyncio.timeout(WATCH_SECONDS):
                    probe = await connection.channel()
                    found = await probe.declare_queue(self._queue, passive=True)
                    await probe.close()
                if not found.declaration_result.consumer_count:
                    raise ConnectionError("the consumer has vanished")
                self._seen_alive = time.monotonic()
                instruments.QUEUE_READY.labels(self._queue).set(found.declaration_result.message_count or 0)

    async def _gather(
        self, arrived: asyncio.Queue[AbstractIncomingMessage], watch: asyncio.Task[None]
    ) -> list[AbstractIncomingMessage]:
        first = asyncio.ensure_future(arrived.get())
        try:
            await asyncio.wait({first, watch}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            arrives = first.done() or not first.cancel()
        if not arrives:
            await watch
        batch = [first.result()]
        end = time.monotonic() + GATHER_SECONDS
        while len(batch) < BATCH:
            try:
                batch.append(arrived.get_nowait())
            except asyncio.QueueEmpty:
                if len(batch) == 1 or (left := end - time.monotonic()) <= 0:
                    break
                try:
                    async with asyncio.timeout(left):
                        batch.append(await arrived.get())
                except TimeoutError:
                    break
        return batch

    async def _take(self, batch: Sequence[AbstractIncomingMessage]) -> None:
        await self.process(
            [
                Delivery(
                    self._queue,
                    message.message_id,
                    message.type,
                    message.routing_key or "",
                    message.headers,
                    message.body,
                )
                for message in batch
            ]
        )

    async def process(self, deliveries: Sequence[Delivery]) -> None:
        """Take deliveries in, whole or each on its own: a batch with a culprit is halved until it stands alone.

        Raises:
            psycopg.OperationalError: The database is away; nothing of the rest was taken in.
        """
        try:
            await self._store(deliveries)
        except Exception as error:
            # whatever a message can cause must not stop the others; an outage is no message's fault
            if is_outage(error):
                raise
            if len(deliveries) > 1:
                middle = len(deliveries) // 2
                await self.process(deliveries[:middle])
                await self.process(deliveries[middle:])
                return
            log.exception("intake.refused", queue_name=self._queue, cause=type(error).__name__)
            await self._bury(deliveries[0], type(error).__name__)

    async def _store(self, deliveries: Sequence[Delivery]) -> None:
        began = time.monotonic()
        said = [_cause(delivery) for delivery in deliveries]
        with telemetry.spans(said, lambda index: self._described(deliveries[index]), kind=SpanKind.CONSUMER) as causes:
            async with self._database.transaction() as conn:
                received_at = await database_now(conn)
                readable, unreadable = self._read(deliveries, causes, received_at)
                for delivery, cause in unreadable:
                    log.error("intake.undecodable", queue_name=self._queue, message=delivery.message_id, cause=cause)
                    await self._dead.bury(conn, delivery, cause)
                new = await _remember(conn, readable)
                for topic, messages in _by_topic(new).items():
                    await self._handlers[topic](conn, messages)
                self._crash("intake.before_commit")
        self._crash("intake.after_commit")
        self._count(new, len(readable) - len(new), len(unreadable), time.monotonic() - began)
        self._on_commit()

    def _read(
        self, deliveries: Sequence[Delivery], causes: Sequence[str | None], received_at: datetime
    ) -> tuple[list[Incoming], list[tuple[Delivery, str]]]:
        readable: list[Incoming] = []
        unreadable: list[tuple[Delivery, str]] = []
        for delivery, cause in zip(deliveries, causes, strict=True):
            if self._bury_as is not None:
                unreadable.append((delivery, self._bury_as))
                continue
            try:
                readable.append(_continuing(decode(delivery, received_at), cause))
            except Undecodable as error:
                unreadable.append((delivery, str(error)))
        return readable, unreadable

    def _described(self, delivery: Delivery) -> tuple[str, telemetry.Attributes]:
        return f"process {self._queue}", {
            **SYSTEM,
            "messaging.operation.type": "process",
            "messaging.operation.name": "process",
            "messaging.destination.name": self._queue,
            "messaging.message.id": delivery.message_id or "",
        }

    def _count(self, new: Sequence[Incoming], known: int, dead: int, seconds: float) -> None:
        instruments.INTAKE_BATCH.labels(self._queue).observe(seconds)
        instruments.TAKEN_IN.labels(self._queue, "new").inc(len(new))
        instruments.TAKEN_IN.labels(self._queue, "duplicate").inc(known)
        instruments.BURIED.labels(self._queue).inc(dead)
        ages = instruments.MESSAGE_AGE.labels(self._queue)
        for message in new:
            if not message.replayed:
                ages.observe(max(0.0, (message.received_at - message.event.time).total_seconds()))

    async def _bury(self, delivery: Delivery, cause: str) -> None:
        async with self._database.transaction() as conn:
            await self._dead.bury(conn, delivery, cause)
        instruments.BURIED.labels(self._queue).inc()


def _cause(delivery: Delivery) -> str | None:
    """The header, by which the broker's way is traced; what is not a traceparent is nobody's."""
    found = delivery.headers.get("traceparent")
    return found if isinstance(found, str) and TRACEPARENT.fullmatch(found) else None


def _continuing(message: Incoming, cause: str | None) -> Incoming:
    """What the message causes continues the span of its intake, when the trace is kept."""
    if cause is None or cause == message.event.traceparent:
        return message
    return replace(message, event=message.event.model_copy(update={"traceparent": cause}))


def _by_topic(messages: Sequence[Incoming]) -> dict[str, list[Incoming]]:
    grouped: dict[str, list[Incoming]] = {}
    for message in messages:
        grouped.setdefault(INTERNAL[message.type].topic, []).append(message)
    return grouped


async def _remember(conn: Connection, messages: Sequence[Incoming]) -> list[Incoming]:
    """Insert the ids, in order so that two consumers cannot deadlock; return the messages that are new."""
    unique = {message.message_id: message for message in messages}
    ordered = [unique[key] for key in sorted(unique)]
    if not ordered:
        return []
    cursor = await conn.execute(
        "INSERT INTO inbox (message_id, type, body_hash)"
        " SELECT * FROM unnest(%b::uuid[], %b::text[], %b::bytea[]) ON CONFLICT (message_id) DO NOTHING"
        " RETURNING message_id",
        (
            [message.message_id for message in ordered],
            [message.type for message in ordered],
            [hashlib.sha256(message.body).digest() for message in ordered],
        ),
    )
    new = {row[0] for row in await cursor.fetchall()}
    if len(new) < len(messages):
        log.info("intake.duplicates", count=len(messages) - len(new))
    return [message for message in unique.values() if message.message_id in new]
