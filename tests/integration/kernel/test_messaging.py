"""The way of a message: outbox, relay, broker, inbox; under duplication, poison, and the loss of servers."""

import asyncio
from uuid import uuid4

import aio_pika
import psycopg

from deploy.local.servers import RabbitServer
from services.kernel.messaging import topology
from services.kernel.runner import Service
from tests.support.flow import say, seen
from tests.support.kernel import audit, eventually
from tests.support.servers import PostgresUnderTest


async def test_every_committed_message_arrives_once(pair: tuple[Service, Service], admin: psycopg.Connection) -> None:
    producer, _ = pair
    messages = [audit("a") for _ in range(1200)]
    await say(producer, messages)
    ids = sorted(str(message.event.id) for message in messages)

    async def all_there() -> bool:
        return len(seen(admin)) >= len(ids)

    await eventually(all_there)
    assert sorted(seen(admin)) == ids

    async def published() -> bool:
        row = admin.execute("SELECT count(*) FROM ingestion.outbox WHERE published_at IS NULL").fetchone()
        return row == (0,)

    # a queue that was made anew has asked for a replay, which may still be on its way
    await eventually(published)
    assert sorted(seen(admin)) == ids


async def test_a_message_published_twice_is_taken_in_once(
    pair: tuple[Service, Service], admin: psycopg.Connection
) -> None:
    producer, _ = pair
    twice = audit("a")
    marker = audit("end")
    await say(producer, [twice, twice])
    await say(producer, [twice, marker])

    async def marked() -> bool:
        return str(marker.event.id) in seen(admin)

    await eventually(marked)

    async def drained() -> bool:
        row = admin.execute("SELECT count(*) FROM ingestion.outbox WHERE published_at IS NULL").fetchone()
        return row == (0,)

    await eventually(drained)
    assert seen(admin).count(str(twice.event.id)) == 1


async def test_one_poison_message_is_kept_and_delays_nobody(
    pair: tuple[Service, Service], admin: psycopg.Connection
) -> None:
    producer, _ = pair
    good = [audit("a") for _ in range(60)]
    await say(producer, [*good[:30], audit("poison"), *good[30:]])

    async def all_good() -> bool:
        return len(seen(admin)) >= 60

    await eventually(all_good)

    async def buried() -> bool:
        # a replay asked for at the start may bring it once more
        return admin.execute("SELECT DISTINCT cause FROM status.inbox_dead").fetchall() == [("ValueError",)]

    await eventually(buried)
    assert len(seen(admin)) == 60
    body = admin.execute("SELECT body FROM status.inbox_dead").fetchone()
    assert body is not None
    assert b"poison" not in bytes(body[0]), "dead letters are encrypted"


async def test_undecodable_and_unroutable_messages_are_kept_and_counted(
    pair: tuple[Service, Service], admin: psycopg.Connection, broker: RabbitServer
) -> None:
    _, status = pair
    connection = await aio_pika.connect(status.settings.broker_url)
    channel = await connection.channel()
    exchange = await channel.get_exchange(topology.EVENTS)
    await exchange.publish(aio_pika.Message(b"{not json", type="se.stafett.audit.recorded.v1"), "bulk.audit.recorded")
    await exchange.publish(aio_pika.Message(b"{}", type="se.stafett.unheard.of.v9"), "bulk.audit.recorded")
    await exchange.publish(aio_pika.Message(b"{}", type="x", message_id=str(uuid4())), "replay.nobody.audit.recorded")
    await connection.close()

    async def kept() -> bool:
        causes = {row[0].split()[0] for row in admin.execute("SELECT cause FROM status.inbox_dead").fetchall()}
        return "unrouted" in causes and "unknown" in causes and len(causes) == 3

    await eventually(kept)


async def test_a_killed_broker_loses_nothing_and_services_resume(
    pair: tuple[Service, Service], admin: psycopg.Connection, broker: RabbitServer
) -> None:
    producer, _ = pair
    before = [audit("a") for _ in range(300)]
    await say(producer, before)
    await asyncio.to_thread(broker.kill9)
    during = [audit("b") for _ in range(300)]
    await say(producer, during)
    await asyncio.to_thread(broker.start)

    async def all_there() -> bool:
        return len(set(seen(admin))) == 600

    await eventually(all_there, seconds=60)
    assert len(seen(admin)) == 600


async def test_a_wiped_broker_makes_its_consumers_ask_for_a_replay(
    pair: tuple[Service, Service], admin: psycopg.Connection, broker: RabbitServer
) -> None:
    producer, _ = pair
    await say(producer, [audit("a")])

    async def one() -> bool:
        return len(seen(admin)) == 1

    await eventually(one)
    asked = "SELECT count(*) FROM kernel.replay_request WHERE consumer = 'accounts' AND requested_at > %s"
    start = admin.execute("SELECT now()").fetchone()
    assert start is not None
    await asyncio.to_thread(broker.kill9)
    await asyncio.to_thread(broker.wipe_data)
    await asyncio.to_thread(broker.start)

    async def requested() -> bool:
        row = admin.execute(asked, start).fetchone()
        return row is not None and row[0] >= 1

    await eventually(requested, seconds=60)
    after = audit("b")
    await say(producer, [after])

    async def flows() -> bool:
        return str(after.event.id) in seen(admin)

    await eventually(flows, seconds=60)


async def test_a_killed_database_stops_the_consumer_until_it_is_back(
    pair: tuple[Service, Service], admin_url: str, postgres_server: PostgresUnderTest
) -> None:
    producer, _ = pair
    messages = [audit("a") for _ in range(500)]
    await say(producer, messages)
    await asyncio.to_thread(postgres_server.kill9)
    await asyncio.to_thread(postgres_server.start)

    async def all_there() -> bool:
        with psycopg.connect(admin_url, autocommit=True) as admin:
            return len(set(seen(admin))) == 500

    await eventually(all_there, seconds=60)
    with psycopg.connect(admin_url, autocommit=True) as admin:
        assert len(seen(admin)) == 500
