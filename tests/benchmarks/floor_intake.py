"""The floor of intake: bare aio-pika and psycopg; the same queues, batches and rows; one ack for each commit.

`python -m tests.benchmarks.floor_intake <service> <database url> <broker url> <script>`
"""

import asyncio
import sys
import time
from pathlib import Path

import aio_pika
import uvloop
from aio_pika.abc import AbstractIncomingMessage
from psycopg import AsyncConnection

from services.kernel.messaging import topology
from services.kernel.messaging.intake import BATCH, GATHER_SECONDS, PREFETCH
from tests.benchmarks.recording import Script, json_as_the_services, perform


class Taken:
    """How far in the script both lanes have come together."""

    def __init__(self) -> None:
        self.first = 0

    def next(self, number: int) -> int:
        """Take so many items."""
        first, self.first = self.first, self.first + number
        return first


async def consume(queue_name: str, service: str, database_url: str, broker_url: str, done: Script, at: Taken) -> None:
    """Take in what comes, for ever."""
    connection = await aio_pika.connect(broker_url)
    channel = await connection.channel()
    await channel.set_qos(prefetch_count=PREFETCH)
    queue = await channel.declare_queue(queue_name, durable=True, arguments=dict(topology.QUEUE_ARGUMENTS))
    for exchange, key in topology.queues(service)[queue_name]:
        await queue.bind(exchange, key)
    arrived: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()
    await queue.consume(arrived.put)
    async with await AsyncConnection.connect(database_url) as conn:
        conn.prepare_threshold = 3
        while True:
            batch = await _gather(arrived)
            await perform(conn, done.portion(at.next(len(batch)), len(batch)))
            await conn.commit()
            await batch[-1].ack(multiple=True)


async def _gather(arrived: asyncio.Queue[AbstractIncomingMessage]) -> list[AbstractIncomingMessage]:
    batch = [await arrived.get()]
    end = time.monotonic() + GATHER_SECONDS
    while len(batch) < BATCH and (left := end - time.monotonic()) > 0:
        try:
            async with asyncio.timeout(left):
                batch.append(await arrived.get())
        except TimeoutError:
            break
    return batch


async def _main(service: str, database_url: str, broker_url: str, path: str) -> None:
    json_as_the_services()
    done, at = Script.load(Path(path)), Taken()
    queues = (f"{service}.express", f"{service}.bulk")
    await asyncio.gather(*(consume(queue, service, database_url, broker_url, done, at) for queue in queues))


if __name__ == "__main__":
    uvloop.run(_main(*sys.argv[1:5]))
