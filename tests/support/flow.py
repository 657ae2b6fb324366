"""Messages that flow between services of a test's own, and what arrived."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import aio_pika
import psycopg

from services.kernel.database import Connection
from services.kernel.messaging import outbox, topology
from services.kernel.messaging.broker import stands
from services.kernel.messaging.intake import Incoming
from services.kernel.messaging.outbox import Outgoing
from services.kernel.runner import Service
from tests.support.kernel import PASSWORDS, background


class Collector:
    """A handler that stores what it takes in, in the same transaction, and refuses what says poison."""

    async def __call__(self, conn: Connection, messages: Sequence[Incoming]) -> None:
        for message in messages:
            if getattr(message.event.data, "action", "") == "poison":
                raise ValueError("poison")
        await conn.execute(
            "INSERT INTO public.seen SELECT unnest(%s::uuid[])", ([message.message_id for message in messages],)
        )


@asynccontextmanager
async def running_service(service: Service) -> AsyncIterator[Service]:
    await service.database.open()
    async with background(service._parts()):
        yield service
    await service.database.close()


async def emptied(port: int) -> None:
    """Empty every service's queues of what a test before left in the broker that they share."""
    for service, password in PASSWORDS.items():
        connection = await aio_pika.connect(f"amqp://{service}:{password}@127.0.0.1:{port}/{topology.VHOST}")
        for queue in topology.queues(service):
            if await stands(connection, queue):
                channel = await connection.channel()
                await (await channel.get_queue(queue, ensure=False)).purge()
                await channel.close()
        await connection.close()


def ready_for(admin: psycopg.Connection) -> None:
    admin.execute("CREATE TABLE public.seen (id uuid)")
    admin.execute("GRANT ALL ON public.seen TO status, accounts, orgtree")


def seen(admin: psycopg.Connection) -> list[str]:
    return [str(row[0]) for row in admin.execute("SELECT id FROM public.seen").fetchall()]


async def say(service: Service, messages: Sequence[Outgoing]) -> None:
    async with service.database.transaction() as conn:
        await outbox.append(conn, messages)
    service.wake()
