"""The stream: what a commit changed is told to who may know, by way of PostgreSQL, after the commit only."""

import asyncio
from collections.abc import Mapping
from datetime import date
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from contracts.codes import Form, Protection
from contracts.person import Assignment, Employment
from contracts.registry import COMMAND_RETRY
from services.kernel.database import Database
from services.status.api import stream as api_stream
from services.status.api.door import Reader
from services.status.api.stream import stream
from services.status.domain.sight import Sight, Staff
from services.status.domain.stream import EVERYTHING, Change
from services.status.handlers.intake import HANDLERS
from services.status.handlers.streaming import BACKLOG, Broadcast, telling
from tests.integration.status.world import OPEN, audited, evaluation, person, uid, unit
from tests.support.kernel import background, eventually

TELLING = {topic: telling(topic, handler) for topic, handler in HANDLERS.items()}


async def next_of(queue: "asyncio.Queue[Change]") -> Change:
    async with asyncio.timeout(10):
        return await queue.get()


async def test_a_commit_is_told_to_readers_and_a_rollback_is_not(database: Database) -> None:
    broadcast = Broadcast(database)
    async with background(broadcast.run()):
        await broadcast.listening()
        with broadcast.reader("alvsund") as changes:
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
        await broadcast.listening()
        with broadcast.reader("alvsund") as changes:
            async with database.transaction() as conn:
                await TELLING["person.core"](conn, [person(protection=Protection.PROTECTED)])
                await TELLING["service.evaluated"](conn, [evaluation("nobody-knows-her-yet")])
            about, unknown = await next_of(changes), await next_of(changes)
    assert (about.shown(protected=False), unknown.shown(protected=False)) == (None, None)
    assert about.shown(protected=True) == {"topic": "person.core", "persons": None}
    assert str(uid("anna")) not in about.model_dump_json(), "whom the stream does not know it cannot name"


async def test_many_people_are_not_named_and_a_slow_reader_is_told_to_look_at_everything(database: Database) -> None:
    broadcast = Broadcast(database)
    async with background(broadcast.run()):
        await broadcast.listening()
        with broadcast.reader("alvsund") as slow, broadcast.reader("alvsund") as quick:
            async with database.transaction() as conn:
                await TELLING["person.core"](conn, [person(f"p{n}") for n in range(150)])
            assert (await next_of(quick)).shown(protected=False) == {"topic": "person.core", "persons": None}
            for number in range(BACKLOG):
                async with database.transaction() as conn:
                    await TELLING["service.evaluated"](conn, [evaluation("p1", version=number + 1)])
                assert (await next_of(quick)).persons == (uid("p1"),)
            assert slow.qsize() == 1
            assert (await next_of(slow)).persons is None


async def test_others_changes_take_no_place_in_a_readers_queue(database: Database) -> None:
    broadcast = Broadcast(database)
    async with background(broadcast.run()):
        await broadcast.listening()
        with broadcast.reader("alvsund") as ours, broadcast.reader("bergby") as theirs:
            async with database.transaction() as conn:
                await TELLING["person.core"](conn, [person()])
            for _ in range(BACKLOG + 1):
                async with database.transaction() as conn:
                    await TELLING["person.core"](conn, [person(organisation="bergby")])

            async def overflowed() -> bool:
                return theirs.qsize() == 1

            await eventually(overflowed)
            assert ours.qsize() == 1
            assert (await next_of(ours)).persons == (uid("anna"),)


async def test_who_reads_while_nobody_listened_is_told_to_look_at_everything(database: Database) -> None:
    broadcast = Broadcast(database)
    async with background(broadcast.run()):
        await broadcast.listening()
        with broadcast.reader("alvsund") as changes:
            async with database.transaction() as conn:
                await conn.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
                    " AND datname = current_database()"
                )
            change = await next_of(changes)
    assert change.shown(protected=False) == {"topic": EVERYTHING, "persons": None}


async def test_a_stream_is_ready_when_it_listens_and_not_before(database: Database) -> None:
    broadcast = Broadcast(database)
    reader = Reader(subject="it", organisation="alvsund", scopes=frozenset({"cases:read"}), sight=OPEN)
    events = aiter(stream(database, reader, broadcast))
    first = asyncio.ensure_future(anext(events))
    await asyncio.wait({first}, timeout=0.1)
    assert not first.done()
    async with background(broadcast.run()):
        async with asyncio.timeout(10):
            assert (await first).event == "ready"
    await events.aclose()  # type: ignore[attr-defined]


async def test_that_somebody_has_read_is_not_told_and_what_a_command_did_is(database: Database) -> None:
    broadcast = Broadcast(database)
    async with background(broadcast.run()):
        await broadcast.listening()
        with broadcast.reader("alvsund") as changes:
            async with database.transaction() as conn:
                await TELLING["audit.recorded"](conn, [audited("persons.listed"), audited("command.read")])
            async with database.transaction() as conn:
                await TELLING["audit.recorded"](conn, [audited(COMMAND_RETRY)])
            assert (await next_of(changes)).topic == "audit.recorded"
            assert changes.empty()


async def test_a_manager_is_told_of_the_own_staff_alone(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_stream, "GATHER_SECONDS", 0.0)
    broadcast = Broadcast(database)
    async with database.transaction() as conn:
        await HANDLERS["unit.recorded"](conn, [unit(manager="malin"), unit("200")])
        away = Assignment(unit="200", valid_from=date(2026, 6, 1))
        elsewhere = Employment(id=uid("e"), form=Form.PERMANENT, valid_from=date(2026, 6, 1), assignments=(away,))
        await HANDLERS["person.core"](conn, [person(), person("bo", employments=[elsewhere])])
    sight = Sight(protected=False, staff=Staff(uid("malin"), ZoneInfo("Europe/Stockholm")))
    reader = Reader(subject="malin", organisation="alvsund", scopes=frozenset({"cases:read_own"}), sight=sight)
    async with background(broadcast.run()):
        await broadcast.listening()
        events = aiter(stream(database, reader, broadcast))
        async with asyncio.timeout(20):
            assert (await anext(events)).event == "ready"
            for said in ([evaluation("bo")], [evaluation("bo", 2), evaluation()], [evaluation("eva")]):
                async with database.transaction() as conn:
                    await TELLING["service.evaluated"](conn, said)
            async with database.transaction() as conn:
                await TELLING["unit.recorded"](conn, [unit("300")])
            told = [(await anext(events)).data, (await anext(events)).data]
        await events.aclose()  # type: ignore[attr-defined]
    assert told == [
        {"topic": "service.evaluated", "persons": [str(uid("anna"))]},
        {"topic": "unit.recorded", "persons": []},
    ]


def test_shown_tells_nothing_of_who_may_not_be_seen() -> None:
    anna = UUID(int=1)
    cases: Mapping[tuple[bool, bool, bool], dict[str, object] | None] = {
        (False, True, True): {"topic": "t", "persons": [str(anna)]},
        (True, True, True): {"topic": "t", "persons": None},
        (True, True, False): {"topic": "t", "persons": [str(anna)]},
        (False, False, True): None,
        (True, False, True): {"topic": "t", "persons": None},
        (False, False, False): {"topic": "t", "persons": []},
    }
    for (protected, visible, hidden), expected in cases.items():
        change = Change(organisation="alvsund", topic="t", persons=(anna,) if visible else (), hidden=hidden)
        assert change.shown(protected=protected) == expected
