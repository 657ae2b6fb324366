"""The relay: publishes the outbox with pipelined confirms. One per outbox and lane, by a lease in the database."""

import asyncio
import time
from collections.abc import Callable, Sequence
from uuid import UUID, uuid4

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractExchange
from aio_pika.exceptions import DeliveryError
from opentelemetry.trace import SpanKind

from contracts.codes import Lane
from contracts.envelope import CONTENT_TYPE
from services.kernel import telemetry
from services.kernel.database import TRANSIENT, Database
from services.kernel.messaging import outbox, topology
from services.kernel.messaging.broker import BROKER_TRANSIENT, SYSTEM, cancelled, connected, pause, stands
from services.kernel.messaging.outbox import OutboxRow
from services.kernel.metrics import instruments

log = telemetry.get_logger(__name__)

PRODUCER = SpanKind.PRODUCER
BATCH = 200
LEASE_SECONDS = 10
POLL_SECONDS = 0.1
PUBLISH_TIMEOUT = 8.0
"""Shorter than the lease, so that two relays never publish at the same time."""


class Relay:
    """Publishes the committed rows of one lane; at least once, in no promised order. Each lane has a relay of its own.

    A confirmed row is marked, so a crash between confirm and mark publishes it again under the same id.
    """

    def __init__(
        self,
        service: str,
        lane: Lane,
        database: Database,
        broker_url: str,
        *,
        crash: Callable[[str], None],
    ) -> None:
        self._service = service
        self.lane = lane
        self._name = f"relay-{lane}"
        self._loop: asyncio.AbstractEventLoop | None = None
        self._database = database
        self._url = broker_url
        self._crash = crash
        self._holder = uuid4()
        self._wake = asyncio.Event()
        self._leased_at = float("-inf")
        self._careful = 0
        self.problem: str | None = f"{self._name}: starting"

    def wake(self) -> None:
        """Say that rows were committed, so that they need not wait for the next look; from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake.set)

    async def run(self) -> None:
        """Publish until cancelled; broker and database may come and go."""
        self._loop = asyncio.get_running_loop()
        while not cancelled():
            try:
                await self._database.wait()
                async with connected(self._url, f"{self._service}-{self._name}") as connection:
                    await self._session(connection)
            except (*BROKER_TRANSIENT, *TRANSIENT) as error:
                self.problem = f"{self._name}: {type(error).__name__}"
                log.warning("relay.interrupted", cause=type(error).__name__)
                await pause()
            except asyncio.CancelledError:
                await self._give_back()
                raise
            except Exception as error:
                self.problem = f"{self._name}: {type(error).__name__}"
                log.exception("relay.failed")
                await pause()

    async def _give_back(self) -> None:
        """Let another relay begin at once when this one stops."""
        try:
            async with asyncio.timeout(2), self._database.transaction() as conn:
                await conn.execute("DELETE FROM lease WHERE name = %s AND holder = %s", (self._name, self._holder))
        except (*TRANSIENT, TimeoutError):
            log.info("relay.lease_not_given_back")

    async def _session(self, connection: AbstractConnection) -> None:
        await self._await_queues(connection)
        channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
        exchanges = {name: await channel.get_exchange(name) for name in (topology.EVENTS, topology.COMMANDS)}
        self.problem = None
        log.info("relay.started", lane=self.lane)
        while True:
            if not await self._lease():
                await asyncio.sleep(1)
                continue
            if await self._publish_batch(exchanges) < BATCH:
                await self._idle(channel)

    async def _await_queues(self, connection: AbstractConnection) -> None:
        """A row published before a consumer's queue stands would never reach it."""
        for queue in sorted(topology.awaited(self._service)):
            while not await stands(connection, queue):
                self.problem = f"{self._name}: waits for queue {queue}"
                await asyncio.sleep(0.5)

    async def _lease(self) -> bool:
        if time.monotonic() - self._leased_at < LEASE_SECONDS / 3:
            return True
        self._leased_at = time.monotonic() if await self._take_lease() else float("-inf")
        return self._leased_at > 0

    async def _take_lease(self) -> bool:
        async with self._database.transaction() as conn:
            cursor = await conn.execute(
                "INSERT INTO lease (name, holder, expires_at) VALUES (%(name)s, %(holder)s, now() + %(ttl)s)"
                " ON CONFLICT (name) DO UPDATE SET holder = %(holder)s, expires_at = now() + %(ttl)s"
                " WHERE lease.holder = %(holder)s OR lease.expires_at < now() RETURNING true",
                {"name": self._name, "holder": self._holder, "ttl": f"{LEASE_SECONDS} seconds"},
            )
            return await cursor.fetchone() is not None

    async def _idle(self, channel: AbstractChannel) -> None:
        # a connection whose reader has died still says that it is open; its channels do not
        if channel.is_closed:
            raise ConnectionError("the broker closed the connection")
        try:
            async with asyncio.timeout(POLL_SECONDS):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()

    async def _publish_batch(self, exchanges: dict[str, AbstractExchange]) -> int:
        async with self._database.transaction() as conn:
            rows = await outbox.unpublished(conn, self.lane, 1 if self._careful else BATCH)
        if not rows:
            return 0
        began = time.monotonic()
        self._crash("relay.before_publish")
        # a timeout means unknown: the rows stay unmarked and go out again under the same ids
        sent = _once_per_id(rows)
        try:
            with telemetry.spans(
                [row.traceparent for row in sent], lambda index: _described(sent[index]), kind=PRODUCER
            ) as causes:
                async with asyncio.timeout(PUBLISH_TIMEOUT):
                    results = await asyncio.gather(
                        *(
                            self._publish(exchanges[topology.exchange_for(row.routing_key)], row, cause)
                            for row, cause in zip(sent, causes, strict=True)
                        )
                    )
        except BROKER_TRANSIENT:
            await self._cut_off(sent)
            raise
        confirmed = [row for row, good in zip(sent, results, strict=True) if good]
        refused = [row for row, good in zip(sent, results, strict=True) if not good]
        self._crash("relay.after_confirm")
        async with self._database.transaction() as conn:
            if confirmed:
                await outbox.mark_published(conn, confirmed)
            if refused:
                await outbox.postpone(conn, refused)
                log.error("relay.refused", rows=len(refused))
        self._crash("relay.after_mark")
        self._count(confirmed, refused, time.monotonic() - began)
        self._careful = max(0, self._careful - 1)
        return BATCH if self._careful else len(rows)

    def _count(self, confirmed: Sequence[OutboxRow], refused: Sequence[OutboxRow], seconds: float) -> None:
        for row in confirmed:
            instruments.published(row.routing_key)
        if refused:
            instruments.REFUSED.labels(str(self.lane)).inc(len(refused))
        instruments.PUBLISH_BATCH.labels(str(self.lane)).observe(seconds)

    async def _cut_off(self, sent: Sequence[OutboxRow]) -> None:
        """A row that closes the channel (too large for the broker) must not come back at the head of every batch.

        After a batch was cut off, the next rows go out one at a time; one that is cut off alone is put aside.
        """
        if len(sent) == 1:
            async with self._database.transaction() as conn:
                await outbox.postpone(conn, sent)
        self._careful = BATCH

    async def _publish(self, exchange: AbstractExchange, row: OutboxRow, traceparent: str | None) -> bool:
        message = aio_pika.Message(
            row.body.encode(),
            content_type=CONTENT_TYPE,
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            message_id=str(row.message_id),
            type=row.type,
            timestamp=row.created_at,
            app_id=self._service,
            headers={
                "organisation": row.organisation,
                "lane": "express" if row.lane == 0 else "bulk",
                **({"traceparent": traceparent} if traceparent else {}),
            },
        )
        try:
            await exchange.publish(message, row.routing_key, mandatory=True)
        except DeliveryError:
            return False
        except BROKER_TRANSIENT:
            raise
        except Exception:
            # a row that cannot even be put on the wire must not hold the others up
            log.exception("relay.unpublishable", message=str(row.message_id), type=row.type)
            return False
        return True


def _described(row: OutboxRow) -> tuple[str, telemetry.Attributes]:
    exchange = topology.exchange_for(row.routing_key)
    return f"publish {exchange}", {
        **SYSTEM,
        "messaging.operation.type": "send",
        "messaging.operation.name": "publish",
        "messaging.destination.name": exchange,
        "messaging.rabbitmq.destination.routing_key": row.routing_key,
        "messaging.message.id": str(row.message_id),
    }


def _once_per_id(rows: Sequence[OutboxRow]) -> list[OutboxRow]:
    """Two publishes of one message id in flight on a channel get each other's confirms (aiormq): the second waits."""
    seen: set[UUID] = set()
    first = []
    for row in rows:
        if row.message_id not in seen:
            seen.add(row.message_id)
            first.append(row)
    return first
