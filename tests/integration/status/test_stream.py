"""The stream: what a commit changed is told to who may know, by way of PostgreSQL, after the commit only."""

import asyncio
from collections.abc import Mapping
from uuid import UUID

from contracts.codes import Protection
from services.kernel.database import Database
from services.status.domain.stream import Change
from services.status.handlers.intake import HANDLERS
from services.status.handlers.streaming import BACKLOG, Broadcast, telling
from tests.integration.status.world import evaluation, person, uid
from tests.support.kernel import background, eventually

TELLING = {topic: telling(topic, handler) for topic, handler in HANDLERS.items()}


async def next_of(queue: "asyncio.Queue[Change]") -> Change:
    async with asyncio.timeout(10):
        return await queue.get()


async def listening(database: Database) -> None:
    async def listens() -> bool:
        async with database.transaction() as conn:
            cursor = await conn.execute("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
            return await cursor.fetchone() != (0,)

    await eventually(listens)


async def test_a_commit_is_told_to_readers_and_a_rollback_is_not(database: Database) -> None:
    broadcast = Broadcast(database)
    async with background(broadcast.run()):
        await listening(database)
        with broadcast.reader() as changes:
            async with database.transaction() as conn:
                await TELLING["person.core"](conn, [person("bo")])
                await conn.rollback()
            async with database.transaction() as conn:
                await TELLING["person.core"](conn, [person()])
                await TELLING["service.evaluated"](conn, [evaluation()])
            first, second = await next_of(changes), await next_of(changes)
    assert (first.topic, first.persons, second.topic) == ("person.core", (uid("anna"),), "service.evaluated")
    assert first.shown(protected=False) == {"topic": "person.core", "persons": [str(uid("anna"))]}


async def test_of_protected_people_only_those_hear_who_may(database: Database) -> None:
    broadcast = Broadcast(database)
    async with background(broadcast.run()):
        await listening(database)
        with broadcast.reader() as changes:
            async with database.transaction() as conn:
                await TELLING["person.core"](conn, [person(protection=Protection.PROTECTED)])
                await TELLING["service.evaluated"](conn, [evaluation("nobody-knows-her-yet")])
            about, unknown = await next_of(changes), await next_of(changes)
    assert (about.shown(protected=False), unknown.shown(protected=False)) == (None, None)
    assert about.shown(protected=True) == {"topic": "person.core", "persons": [str(uid("anna"))]}


async def test_many_people_are_not_named_and_a_slow_reader_is_told_to_look_at_everything(database: Database) -> None:
    broadcast = Broadcast(database)
    async with background(broadcast.run()):
        await listening(database)
        with broadcast.reader() as slow, broadcast.reader() as quick:
            async with database.transaction() as conn:
                await TELLING["person.core"](conn, [person(f"p{n}") for n in range(150)])
            assert (await next_of(quick)).shown(protected=False) == {"topic": "person.core", "persons": None}
            for number in range(BACKLOG):
                async with database.transaction() as conn:
                    await TELLING["service.evaluated"](conn, [evaluation("p1", version=number + 1)])
                assert (await next_of(quick)).persons == (uid("p1"),)
            assert slow.qsize() == 1
            assert (await next_of(slow)).persons is None


def test_shown_tells_nothing_of_who_may_not_be_seen() -> None:
    cases: Mapping[tuple[bool, int, int], list[int] | None] = {
        (False, 1, 1): [0],
        (True, 1, 1): [0, 1],
        (False, 0, 1): None,
        (False, 0, 0): [],
    }
    for (protected, visible, hidden), expected in cases.items():
        persons = tuple(UUID(int=n) for n in range(visible))
        others = tuple(UUID(int=visible + n) for n in range(hidden))
        found = Change(organisation="alvsund", topic="t", persons=persons, hidden=others).shown(protected=protected)
        assert (found and found["persons"]) == (None if expected is None else [str(UUID(int=n)) for n in expected])
