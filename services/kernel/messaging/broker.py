"""Connections to RabbitMQ. Plain ones: a robust connection re-declares queues silently, and a loss must be noticed."""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection
from aio_pika.exceptions import AMQPError, ChannelInvalidStateError, ChannelNotFoundEntity

BROKER_TRANSIENT = (AMQPError, ChannelInvalidStateError, ConnectionError, OSError, TimeoutError)
"""What a broker that is away, restarting or blocking raises; a dead channel raises ChannelInvalidStateError."""

CONNECT_TIMEOUT = 10.0
ANSWER_SECONDS = 10.0
"""So long a broker may take to answer about a queue: a quorum queue that finds no leader never answers at all."""

SYSTEM: Mapping[str, str] = MappingProxyType({"messaging.system": "rabbitmq"})
"""What spans say of the broker (OpenTelemetry, semantic conventions for RabbitMQ)."""


@asynccontextmanager
async def connected(url: str, name: str) -> AsyncIterator[AbstractConnection]:
    """Yield a connection that is closed afterwards, whatever state it is in."""
    connection = await aio_pika.connect(
        url, timeout=CONNECT_TIMEOUT, client_properties={"connection_name": f"stafett-{name}"}
    )
    try:
        heed_cancellation()
        yield connection
    finally:
        try:
            async with asyncio.timeout(3):
                await connection.close()
        except BROKER_TRANSIENT:
            pass


async def stands(connection: AbstractConnection, queue: str) -> bool:
    """Tell whether a queue exists; a passive declare closes its channel when it does not.

    Raises:
        TimeoutError: The broker does not answer.
    """
    async with asyncio.timeout(ANSWER_SECONDS):
        channel: AbstractChannel = await connection.channel()
        try:
            await channel.declare_queue(queue, passive=True)
        except ChannelNotFoundEntity:
            return False
        await channel.close()
        return True


def cancelled() -> bool:
    """Tell whether the running task was asked to end: aiormq can turn a cancellation into an error of its own."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def heed_cancellation() -> None:
    """Raise a cancellation that aiormq has swallowed: whoever waits for messages now would wait for ever.

    Raises:
        asyncio.CancelledError: The running task was asked to end.
    """
    if cancelled():
        raise asyncio.CancelledError


async def pause() -> None:
    """Wait before connecting again: jitter, so that services do not come back in one stroke."""
    await asyncio.sleep(random.uniform(0.2, 1.5))  # noqa: S311 - jitter, not a secret
