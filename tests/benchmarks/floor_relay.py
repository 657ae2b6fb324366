"""The floor of the relay: bare aio-pika and psycopg; the same statements, the same messages, confirms all at once.

`python -m tests.benchmarks.floor_relay <service> <database url> <broker url>`
"""

import asyncio
import sys

import aio_pika
import uvloop
from aio_pika.abc import AbstractExchange
from psycopg import AsyncConnection

from contracts.codes import Lane
from contracts.envelope import CONTENT_TYPE
from services.kernel.messaging import outbox, topology
from services.kernel.messaging.outbox import OutboxRow
from services.kernel.messaging.relay import BATCH


async def relay(service: str, database_url: str, broker_url: str, stop: asyncio.Event) -> None:
    """Publish what waits, each lane for itself, until told to stop."""
    await asyncio.gather(*(_lane(service, lane, database_url, broker_url, stop) for lane in Lane))


async def _lane(service: str, lane: Lane, database_url: str, broker_url: str, stop: asyncio.Event) -> None:
    connection = await aio_pika.connect(broker_url)
    channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
    exchange = await channel.get_exchange(topology.EVENTS)
    async with await AsyncConnection.connect(database_url) as conn:
        conn.prepare_threshold = 3
        while not stop.is_set():
            rows = await outbox.unpublished(conn, lane, BATCH)
            await conn.commit()
            if not rows:
                await asyncio.sleep(0.01)
                continue
            await asyncio.gather(*(_publish(service, exchange, row) for row in rows))
            await outbox.mark_published(conn, rows)
            await conn.commit()
    await connection.close()


async def _publish(service: str, exchange: AbstractExchange, row: OutboxRow) -> None:
    message = aio_pika.Message(
        row.body.encode(),
        content_type=CONTENT_TYPE,
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        message_id=str(row.message_id),
        type=row.type,
        timestamp=row.created_at,
        app_id=service,
        headers={"organisation": row.organisation, "lane": str(row.lane), "traceparent": row.traceparent},
    )
    await exchange.publish(message, row.routing_key, mandatory=True)


if __name__ == "__main__":
    uvloop.run(relay(sys.argv[1], sys.argv[2], sys.argv[3], asyncio.Event()))
