"""Dead letters are asked for by a command and taken in by themselves, whatever else the command's batch locks."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from uuid import UUID, uuid4

import psycopg
import pytest

from contracts.commands import Command, ReplayDeadLetters, Reverify
from contracts.registry import COMMAND_REDELIVER, COMMAND_REVERIFY
from services.kernel import work
from services.kernel.database import Connection
from services.kernel.messaging import outbox, topology
from services.kernel.messaging.dead import Delivery
from services.kernel.messaging.intake import Incoming
from services.kernel.messaging.outbox import Outgoing
from services.kernel.runner import Service
from services.kernel.work import Wake, WorkKey
from tests.support.kernel import audit, background, eventually, service_settings

KEY = WorkKey("alvsund", "person", "p1", "directory")
COMMON = {
    "organisation": "alvsund",
    "service": "status",
    "actor": "it",
    "role": "commands:write",
    "reason": "prov",
    "requested_at": datetime(2026, 3, 1, tzinfo=UTC),
}


async def raises_work(conn: Connection, messages: Sequence[Incoming]) -> None:
    """What intake does everywhere: it locks the work row of whom a message is about."""
    if any(message.event.data.action == "poison" for message in messages):
        raise ValueError("poison")
    await work.raise_wanted(conn, [Wake(KEY)])


@pytest.fixture
async def status(admin_url: str) -> AsyncIterator[Service]:
    """A service whose intakes are asked directly; no broker is needed for that."""
    service = Service("status", service_settings("status", admin_url, 1))
    service.consumes(dict.fromkeys(topology.SUBSCRIPTIONS["status"], raises_work))
    await service.database.open()
    yield service
    await service.database.close()


def delivery(queue: str, message: Outgoing) -> Delivery:
    event = message.event
    headers = {"organisation": event.organisation}
    return Delivery(queue, str(event.id), event.type, queue, headers, outbox.body(event).encode())


def command(type_: str, data: Command) -> Delivery:
    event = outbox.make(
        type_,
        data,
        source="urn:stafett:status",
        subject="status",
        organisation=data.organisation,
        time=data.requested_at,
        event_id=uuid4(),
    )
    return delivery("status.commands", Outgoing(event))


def redeliver(organisation: str = "alvsund", message: UUID | None = None) -> Delivery:
    values = {**COMMON, "organisation": organisation, "message": message}
    return command(COMMAND_REDELIVER, ReplayDeadLetters.model_validate(values))


async def bury(service: Service, *messages: Outgoing) -> None:
    async with service.database.transaction() as conn:
        for message in messages:
            await service._dead.bury(conn, delivery("status.bulk", message), "prov")


def counts(admin: psycopg.Connection) -> list[int]:
    """How many letters each command says that it touched, the oldest command first."""
    return [
        row[0]
        for row in admin.execute(
            "SELECT (body::jsonb #>> '{data,parameters,count}')::int FROM status.outbox"
            " WHERE body::jsonb #>> '{data,action}' = %s ORDER BY seq",
            (COMMAND_REDELIVER,),
        ).fetchall()
    ]


def kept(admin: psycopg.Connection) -> tuple[object, ...] | None:
    return admin.execute(
        "SELECT count(*) FILTER (WHERE redelivered_at IS NULL), count(*),"
        " (SELECT count(*) FROM kernel.dead_letter WHERE service = 'status') FROM status.inbox_dead"
    ).fetchone()


async def test_a_batch_that_locks_everybody_and_asks_for_letters_does_not_lock_itself_out(
    status: Service, admin: psycopg.Connection
) -> None:
    async with status.database.transaction() as conn:
        await work.raise_wanted(conn, [Wake(KEY)])
    await bury(status, audit("a"), audit("b"))
    looks = command(COMMAND_REVERIFY, Reverify.model_validate(COMMON))
    await status._intakes["status.commands"].process([looks, redeliver()])
    assert counts(admin) == [2]
    assert kept(admin) == (2, 2, 0), "asked for, and not yet taken in: nobody is asked to do it again"
    async with background(status._redelivery.run()):

        async def taken_in() -> bool:
            return kept(admin) == (0, 2, 0)

        await eventually(taken_in)
    assert admin.execute("SELECT wanted FROM status.work").fetchone() == (3,), "one wish and two letters"


async def test_a_letter_that_fails_again_is_a_new_letter_and_the_others_are_taken_in(
    status: Service, admin: psycopg.Connection
) -> None:
    await bury(status, audit("poison"), audit("a"), audit("b", organisation="bergby"))
    commands = status._intakes["status.commands"]
    await commands.process([redeliver(message=uuid4())])
    await commands.process([redeliver()])
    await commands.process([redeliver()])
    assert counts(admin) == [0, 2, 0], "what is under way is not asked for twice, nor another organisation's"
    while await status._redelivery.advance():
        pass
    assert kept(admin) == (2, 4, 2)


async def test_a_letter_of_another_key_is_put_back_and_one_whose_taker_died_comes_up_again(
    status: Service, admin: psycopg.Connection
) -> None:
    await bury(status, audit("a"))
    await status._intakes["status.commands"].process([redeliver()])
    async with status.database.transaction() as conn:
        assert await status._dead.exhume(conn) is not None
    assert not await status._redelivery.advance(), "it is somebody else's for a minute"
    admin.execute("UPDATE status.inbox_dead SET redeliver_at = now(), body = 'of another key'")
    assert await status._redelivery.advance()
    assert kept(admin) == (1, 1, 1)
    assert not await status._redelivery.advance()


async def test_a_start_puts_the_count_of_letters_right(status: Service, admin: psycopg.Connection) -> None:
    await bury(status, audit("a"), audit("b"))
    admin.execute("UPDATE kernel.dead_letter SET id = gen_random_uuid()")
    async with status.database.transaction() as conn:
        await status._dead.count(conn)
        await status._dead.count(conn)
    (ours,) = admin.execute("SELECT array_agg(id ORDER BY id) FROM kernel.dead_letter").fetchone() or ((),)
    (theirs,) = admin.execute("SELECT array_agg(id ORDER BY id) FROM status.inbox_dead").fetchone() or ((),)
    assert ours == theirs
