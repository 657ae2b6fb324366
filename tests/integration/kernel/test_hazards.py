"""Hazards of aio-pika, aiormq and RabbitMQ that bit somebody before; each has its test."""

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import aio_pika
import psycopg
import pytest
from aio_pika.exceptions import DeliveryError

from contracts.codes import Lane
from deploy.local.servers import RabbitServer
from services.kernel.database import Database
from services.kernel.messaging import outbox, topology
from services.kernel.messaging.broker import BROKER_TRANSIENT, connected, stands
from services.kernel.messaging.outbox import OutboxRow
from services.kernel.messaging.relay import Relay, _once_per_id
from services.kernel.runner import Service
from tests.support.flow import say, seen
from tests.support.kernel import audit, background, eventually

NOW = datetime(2026, 3, 2, tzinfo=UTC)


def test_one_message_id_is_never_in_flight_twice_on_a_channel() -> None:
    ids = [UUID(int=1), UUID(int=2), UUID(int=1), UUID(int=3), UUID(int=2)]
    rows = [OutboxRow(n, NOW, message, "t", "bulk.x", "o", None, 1, "{}") for n, message in enumerate(ids)]
    assert [row.seq for row in _once_per_id(rows)] == [0, 1, 3]


class Refusing:
    """An exchange that returns one message as a broker does whose queue is full (basic.nack)."""

    def __init__(self, refused: UUID) -> None:
        self.refused = refused
        self.taken: list[str] = []

    async def publish(self, message: aio_pika.Message, routing_key: str, *, mandatory: bool) -> None:
        assert mandatory, "what no queue takes must come back"
        if message.message_id == str(self.refused):
            raise DeliveryError(None, None)  # type: ignore[arg-type]
        self.taken.append(str(message.message_id))


async def test_a_row_that_the_broker_refuses_holds_nothing_up(
    accounts_database: Database, admin: psycopg.Connection
) -> None:
    refused, free = audit("a"), [audit("a") for _ in range(20)]
    async with accounts_database.transaction() as conn:
        await outbox.append(conn, [refused, *free])
    relay = Relay("accounts", Lane.BULK, accounts_database, "amqp://nowhere", crash=lambda _: None)
    exchange = Refusing(refused.event.id)
    exchanges: dict[str, Any] = {topology.EVENTS: exchange}
    assert await relay._publish_batch(exchanges) == 21
    assert await relay._publish_batch(exchanges) == 0, "it waits for its turn"
    assert len(exchange.taken) == 20
    left = admin.execute("SELECT message_id, attempts FROM accounts.outbox WHERE published_at IS NULL").fetchall()
    assert left == [(refused.event.id, 1)]


async def test_a_broker_that_blocks_publishers_loses_nothing(
    pair: tuple[Service, Service], admin: psycopg.Connection, broker: RabbitServer
) -> None:
    producer, _ = pair
    await asyncio.to_thread(broker.control, "set_vm_memory_high_watermark", "0.000001")
    messages = [audit("a") for _ in range(50)]
    await say(producer, messages)
    await asyncio.sleep(2)
    await asyncio.to_thread(broker.control, "set_vm_memory_high_watermark", "0.4")

    async def all_there() -> bool:
        return set(seen(admin)) == {str(message.event.id) for message in messages}

    await eventually(all_there, seconds=60)
    assert len(seen(admin)) == 50


async def test_a_broker_that_does_not_answer_about_a_queue_is_asked_anew(
    broker: RabbitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.kernel.messaging.broker.ANSWER_SECONDS", 0.5)
    async with connected(broker.url, "test") as connection:
        assert not await stands(connection, "nowhere")
        broker.pause()
        try:
            with pytest.raises(BROKER_TRANSIENT):
                await stands(connection, "nowhere")
        finally:
            broker.resume()


async def test_a_queue_deleted_under_its_consumer_is_made_again_and_asks_for_a_replay(
    pair: tuple[Service, Service], admin: psycopg.Connection, broker: RabbitServer
) -> None:
    producer, _ = pair
    first = audit("a")
    await say(producer, [first])

    async def there() -> bool:
        return str(first.event.id) in seen(admin)

    await eventually(there)
    times = admin.execute("SELECT times_created FROM status.queue WHERE name = 'status.bulk'").fetchone()
    await asyncio.to_thread(broker.control, "delete_queue", "-p", "stafett", "status.bulk")

    async def made_again() -> bool:
        row = admin.execute("SELECT times_created, ready FROM status.queue WHERE name = 'status.bulk'").fetchone()
        return times is not None and row == (times[0] + 1, True)

    await eventually(made_again, seconds=40)
    after = audit("b")
    await say(producer, [after])

    async def flows() -> bool:
        return str(after.event.id) in seen(admin)

    await eventually(flows)


async def test_a_queue_that_is_bound_to_something_new_asks_for_what_it_missed(
    pair: tuple[Service, Service], admin: psycopg.Connection, broker: RabbitServer
) -> None:
    async def asked() -> bool:
        found = admin.execute("SELECT count(*) FROM kernel.replay_request WHERE consumer = 'status'").fetchone()
        return found is not None and found[0] > 0

    async def ready() -> bool:
        row = admin.execute(
            "SELECT ready, cardinality(bindings) FROM status.queue WHERE name = 'status.bulk'"
        ).fetchone()
        return row is not None and row[0] and row[1] > 1

    await eventually(ready)
    admin.execute("DELETE FROM kernel.replay_request")
    await asyncio.to_thread(broker.control, "close_all_connections", "-p", "stafett", "test")
    await asyncio.sleep(3)
    await eventually(ready)
    assert not await asked()
    admin.execute("UPDATE status.queue SET bindings = bindings[2:] WHERE name = 'status.bulk'")
    await asyncio.to_thread(broker.control, "close_all_connections", "-p", "stafett", "test")
    await eventually(asked, seconds=40)
    await eventually(ready)


async def test_a_consumer_stopped_in_mid_flow_and_started_again_takes_each_message_in_once(
    pair: tuple[Service, Service], admin: psycopg.Connection
) -> None:
    producer, status = pair
    messages = [audit("a") for _ in range(1500)]
    await say(producer, messages)

    async def begun() -> bool:
        return len(seen(admin)) > 0

    intake = status._intakes["status.bulk"]
    for _ in range(3):
        await eventually(begun)
        async with background(intake.run()):
            await asyncio.sleep(0.2)

    async def all_there() -> bool:
        return len(set(seen(admin))) == 1500

    await eventually(all_there, seconds=30)
    assert len(seen(admin)) == 1500


async def test_a_watchdog_that_has_not_seen_its_consumer_fails_liveness(pair: tuple[Service, Service]) -> None:
    _, status = pair
    intake = status._intakes["status.bulk"]

    async def consuming() -> bool:
        return intake.problem is None

    await eventually(consuming)
    assert not intake.stalled
    intake._seen_alive -= 3600
    assert intake.stalled


async def test_a_letter_in_the_last_queue_outlives_more_deliveries_than_the_broker_allows_by_default(
    broker: RabbitServer,
) -> None:
    """RabbitMQ 4 drops after 20 deliveries where nothing lifts the limit, and behind this queue there is no other."""
    connection = await aio_pika.connect(broker.url)
    async with asyncio.timeout(60), connection:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=1)
        arguments: dict[str, Any] = dict(topology.QUEUE_ARGUMENTS)
        queue = await channel.declare_queue("status.dead", durable=True, arguments=arguments)
        await queue.bind(topology.DEAD, "status")
        await queue.purge()
        dead = await channel.get_exchange(topology.DEAD, ensure=False)
        await dead.publish(aio_pika.Message(b"letter", delivery_mode=2), "status")
        seen_times = 0
        async with queue.iterator() as letters:
            async for letter in letters:
                seen_times += 1
                if seen_times > 25:
                    await letter.ack()
                    break
                await letter.reject(requeue=True)
        assert seen_times == 26
